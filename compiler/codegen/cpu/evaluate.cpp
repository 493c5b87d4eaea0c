#include "compiler/codegen/cpu/evaluate.h"

#include "compiler/codegen/cpu/functions.h"
#include "compiler/codegen/vector_math.h"
#include "runtime/base/error.h"

#include <numeric>

namespace gmc::codegen {

using kernel::Instruction;
using kernel::Span;
using llvm::Value;
using Kind = Instruction::Kind;

std::vector<Value*> row_extents(llvm::IRBuilder<>& entry, const Part& part, Value* numbers) {
  const Shape& extents = part.kernel.phases[0].regions[0].extents;
  NumberTable table(entry, numbers);
  std::vector<Value*> out(extents.size() - 1, nullptr);
  for (size_t axis = 1; axis < out.size(); ++axis)
    out[axis] = part.knows_numbers ? entry.getInt64(static_cast<uint64_t>(extents[axis]))
                                   : table.entry(static_cast<int64_t>(axis) - 1, entry.getInt64Ty());
  return out;
}

Value* Evaluator::of_part(int64_t number) {
  return part_.knows_numbers || number == 0 ? index(number) : numbers_.entry(number - 1, builder_.getInt64Ty());
}

Evaluator::Evaluator(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, const Target& target, const Part& part,
                     Value* buffers, Value* numbers, Value* run)
    : builder_(builder), target_(target), part_(part), region_(part.kernel.phases[0].regions[0]),
      numbers_(entry, numbers), spans_(kernel::spans_of(region_)) {
  VectorMath math(entry, target_.lanes, target_);
  for (const Instruction& in : region_.body) {
    if (in.kind == Kind::random) {
      keys_[in.stream] = math.stream_key(run, of_part(static_cast<int64_t>(in.stream)));
      // The third field of execute::RunParameters.
      Value* loop = entry.CreateConstInBoundsGEP1_64(entry.getInt64Ty(), run, 2);
      loop_ = entry.CreateAlignedLoad(entry.getInt64Ty(), loop, llvm::Align(8));
    }
    if (in.parameter < 0 || parameters_.count(in.parameter)) continue;
    Value* slot = entry.CreateConstInBoundsGEP1_64(entry.getPtrTy(), buffers, static_cast<uint64_t>(in.parameter));
    parameters_[in.parameter] = entry.CreateLoad(entry.getPtrTy(), slot);
  }
}

void Evaluator::begin_row(Value* row, std::vector<Value*> indices) {
  std::erase_if(kept_, [&](const auto& kept) { return span(kept.first) != Span::scalar; });
  point_ = {.row = row};
  row_indices_ = std::move(indices);
  seen_.clear();
  // Once a row: nothing moves them out of the loop over its columns later.
  row_guards_.clear();
  for (const Instruction& in : region_.body)
    if (!in.guards.empty()) row_guards_[&in] = row_guard(in);
}

void Evaluator::begin_point(const Point& point) {
  point_ = point;
  seen_.clear();
}

Value* Evaluator::splat(Value* scalar) {
  return builder_.CreateVectorSplat(static_cast<unsigned>(target_.lanes), scalar);
}

Value* Evaluator::first_lanes(Value* count) {
  // Lane numbers are compared as i32: one instruction where i64 takes several.
  Value* lanes = builder_.CreateStepVector(vector_type(builder_.getInt32Ty()));
  return builder_.CreateICmpULT(lanes, splat(builder_.CreateTrunc(count, builder_.getInt32Ty())));
}

Value* Evaluator::offset(const kernel::Access& access, bool with_column) {
  Value* sum = of_part(access.base);
  for (size_t axis = 0; axis + 1 < region_.extents.size(); ++axis)
    if (access.strides[axis] != 0 && region_.extents[axis] != 1)
      sum = builder_.CreateAdd(sum, builder_.CreateMul(row_indices_.at(axis), of_part(access.strides[axis])));
  if (with_column) sum = builder_.CreateAdd(sum, builder_.CreateMul(point_.column, index(access.strides.back())));
  return sum;
}

Value* Evaluator::lane_offsets(int64_t stride) {
  return builder_.CreateMul(builder_.CreateStepVector(vector_type(builder_.getInt64Ty())), splat(index(stride)));
}

bool Evaluator::along_columns(const kernel::Access& access) const {
  return access.strides.back() != 0 && region_.extents.back() != 1;
}

// What the access gives at the point as a number: one, or a vector where it varies along the columns.
Value* Evaluator::number(const kernel::Access& access, llvm::Type* type) {
  if (!along_columns(access)) return builder_.CreateIntCast(offset(access, false), type, true);
  Value* first = builder_.CreateIntCast(offset(access, true), type, true);
  Value* steps =
      builder_.CreateMul(builder_.CreateStepVector(vector_type(type)),
                         splat(llvm::ConstantInt::get(type, static_cast<uint64_t>(access.strides.back()), true)));
  return builder_.CreateAdd(splat(first), steps);
}

// Whether those guards hold that do not vary along the columns. Nullptr: there are none.
Value* Evaluator::row_guard(const Instruction& in) {
  if (const auto known = row_guards_.find(&in); known != row_guards_.end()) return known->second;
  llvm::Type* type = part_.wide_guards ? builder_.getInt64Ty() : builder_.getInt32Ty();
  Value* holds = nullptr;
  for (const kernel::Guard& guard : in.guards) {
    if (along_columns(guard.at)) continue;
    Value* extent = builder_.CreateIntCast(of_part(guard.extent), type, true);
    Value* inside = builder_.CreateICmpULT(number(guard.at, type), extent);
    holds = holds ? builder_.CreateAnd(holds, inside) : inside;
  }
  return holds;
}

// Whether all guards hold: one bit, or a vector of bits where they vary along the columns. Nullptr: there are none.
Value* Evaluator::guarded(const Instruction& in) {
  llvm::Type* type = part_.wide_guards ? builder_.getInt64Ty() : builder_.getInt32Ty();
  Value *row = row_guard(in), *lanes = nullptr;
  for (const kernel::Guard& guard : in.guards) {
    if (!along_columns(guard.at)) continue;
    Value* at = number(guard.at, type);
    // A row outside is outside at every column: a bit and a vector of bits would have to be brought to one width.
    if (row) at = builder_.CreateOr(at, splat(builder_.CreateSExt(builder_.CreateNot(row), type)));
    row = nullptr;
    Value* inside = builder_.CreateICmpULT(at, splat(builder_.CreateIntCast(of_part(guard.extent), type, true)));
    lanes = lanes ? builder_.CreateAnd(lanes, inside) : inside;
  }
  return lanes ? lanes : row;
}

Value* Evaluator::outside(const Instruction& in) {
  return vector_constant(builder_.getContext(), in.dtype, in.outside, target_.lanes);
}

// The value in a register of what was loaded.
Value* Evaluator::to_register(Value* loaded, DType dtype) {
  return dtype == DType::boolean ? builder_.CreateICmpNE(loaded, llvm::Constant::getNullValue(loaded->getType()))
                                 : loaded;
}

// What hardware does not foresee: rows of a block are pieces far apart.
void Evaluator::fetch_ahead(const kernel::Access& access, llvm::Type* element, Value* address) {
  const int64_t stride = access.strides.size() < 2 ? 0 : access.strides.end()[-2];
  if (!point_.ahead || stride == 0) return;
  Value* later = builder_.CreateGEP(element, address, builder_.CreateMul(point_.ahead, of_part(stride)));
  builder_.CreateIntrinsic(llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
                           {later, builder_.getInt32(0), builder_.getInt32(2), builder_.getInt32(1)});
}

Value* Evaluator::load(const Instruction& in) {
  llvm::Type* element = memory_type(builder_.getContext(), in.dtype);
  const llvm::Align align(size_of(in.dtype));
  Value* holds = guarded(in);
  const bool varies = along_columns(in.access) || (holds && holds->getType()->isVectorTy());
  if (holds && part_.kernel.parameters[static_cast<size_t>(in.parameter)].elements == 0) return outside(in);
  if (!varies) {
    Value* at = offset(in.access, false);
    // Where the guard does not hold the first element is read instead.
    if (holds) at = builder_.CreateSelect(holds, at, index(0));
    Value* scalar =
        builder_.CreateAlignedLoad(element, builder_.CreateInBoundsGEP(element, parameter(in.parameter), at), align);
    Value* loaded = to_register(splat(scalar), in.dtype);
    return holds ? builder_.CreateSelect(holds, loaded, outside(in)) : loaded;
  }
  llvm::FixedVectorType* vector = vector_type(element);
  llvm::Constant* null = llvm::Constant::getNullValue(vector);
  Value *mask = point_.mask, *also = nullptr;
  if (holds) {
    Value* lanes = holds->getType()->isVectorTy() ? holds : splat(holds);
    also = mask ? lanes : nullptr;
    mask = mask ? mask : lanes;
  }
  Value* loaded = nullptr;
  const int64_t stride = along_columns(in.access) ? in.access.strides.back() : 0;
  // Past a guard an address may lie anywhere, so nothing is said about bounds.
  Value* address = builder_.CreateGEP(element, parameter(in.parameter), offset(in.access, stride != 0));
  if (stride == 1) {
    fetch_ahead(in.access, element, address);
    loaded = mask ? load_masked(element, address, mask, also) : builder_.CreateAlignedLoad(vector, address, align);
  } else if (stride == 2 && !mask && target_.lanes > 1) {
    loaded = load_apart(vector, address, align);
  } else {
    Value* addresses = builder_.CreateGEP(element, splat(address), lane_offsets(stride));
    if (also) mask = builder_.CreateAnd(mask, also);
    loaded = builder_.CreateMaskedGather(vector, addresses, align, mask, null);
  }
  loaded = to_register(loaded, in.dtype);
  if (!holds) return loaded;
  return builder_.CreateSelect(holds, loaded, outside(in));
}

Value* Evaluator::load_masked(llvm::Type* element, Value* address, Value* mask, Value* also) {
  const int size = static_cast<int>(element->getPrimitiveSizeInBits() / 8);
  const int registers = size > 4 && target_.lanes > 1 ? 2 : 1, each = target_.lanes / registers;
  auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(each));
  std::vector<Value*> parts;
  for (int part = 0; part < registers; ++part) {
    std::vector<int> lanes(static_cast<size_t>(each));
    std::iota(lanes.begin(), lanes.end(), part * each);
    const auto piece = [&](Value* v) { return registers == 1 ? v : builder_.CreateShuffleVector(v, lanes); };
    Value* holds = piece(mask);
    const auto* known = llvm::dyn_cast<llvm::Constant>(holds);
    parts.push_back(llvm::Constant::getNullValue(vector));
    if (known && known->isNullValue()) continue;
    if (also) holds = builder_.CreateAnd(holds, piece(also));
    Value* from = builder_.CreateGEP(element, address, builder_.getInt64(static_cast<uint64_t>(part * each)));
    parts.back() =
        builder_.CreateMaskedLoad(vector, from, llvm::Align(static_cast<uint64_t>(size)), holds, parts.back());
  }
  if (registers == 1) return parts[0];
  std::vector<int> all(static_cast<size_t>(target_.lanes));
  std::iota(all.begin(), all.end(), 0);
  return builder_.CreateShuffleVector(parts[0], parts[1], all);
}

Value* Evaluator::gather(const Instruction& in, Span span) {
  llvm::Type* element = memory_type(builder_.getContext(), in.dtype);
  llvm::Type* i64 = builder_.getInt64Ty();
  const llvm::Align align(size_of(in.dtype));
  Value* at = nullptr;
  for (size_t k = 0; k < in.operands.size(); ++k) {
    const kernel::Subscript& subscript = in.subscripts[k];
    Value* wanted = builder_.CreateSExt(value(in.operands[k]), vector_type(i64));
    Value* low = llvm::Constant::getNullValue(wanted->getType());
    wanted = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, wanted, low);
    wanted = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, wanted, splat(index(subscript.extent - 1)));
    Value* part = builder_.CreateMul(wanted, splat(index(subscript.stride)));
    at = at ? builder_.CreateAdd(at, part) : part;
  }
  if (span != Span::full) {
    Value* first = builder_.CreateAdd(builder_.CreateExtractElement(at, uint64_t{0}), offset(in.access, false));
    Value* address = builder_.CreateInBoundsGEP(element, parameter(in.parameter), first);
    return to_register(splat(builder_.CreateAlignedLoad(element, address, align)), in.dtype);
  }
  Value* from = number(in.access, i64);
  at = builder_.CreateAdd(at, from->getType()->isVectorTy() ? from : splat(from));
  Value* addresses = builder_.CreateGEP(element, splat(parameter(in.parameter)), at);
  llvm::Type* vector = vector_type(element);
  return to_register(
      builder_.CreateMaskedGather(vector, addresses, align, point_.mask, llvm::Constant::getNullValue(vector)),
      in.dtype);
}

Value* Evaluator::index_value(const Instruction& in) {
  Value* at = number(in.access, builder_.getInt64Ty());
  if (!at->getType()->isVectorTy()) at = splat(at);
  Value* operands[] = {at};
  return emit_function(builder_, target_, "cast", operands, DType::i64, in.dtype);
}

Value* Evaluator::draw(const Instruction& in, Span span) {
  VectorMath math(builder_, target_.lanes, target_);
  Value* key = keys_.at(in.stream);
  Value* first = offset(in.access, span == Span::full);
  Value* words = nullptr;
  if (span == Span::full && in.access.strides.back() == 1) {
    words = math.philox_words(key, first, loop_);
  } else {
    Value* elements = splat(first);
    if (span == Span::full) elements = builder_.CreateAdd(elements, lane_offsets(in.access.strides.back()));
    words = math.philox_words_at(key, elements, loop_);
  }
  return in.function == "normal" ? math.normal_from_bits(words) : math.uniform_from_bits(words);
}

Value* Evaluator::constant(const Instruction& in) {
  if (in.stream == 0) return vector_constant(builder_.getContext(), in.dtype, in.value, target_.lanes);
  return splat(numbers_.entry(static_cast<int64_t>(in.stream) - 1, register_type(builder_.getContext(), in.dtype)));
}

Value* Evaluator::compute(const Instruction& in) {
  std::vector<Value*> operands;
  for (int operand : in.operands) operands.push_back(value(operand));
  const DType from = region_.body[static_cast<size_t>(in.operands.back())].dtype;
  return emit_function(builder_, target_, in.function, operands, from, in.dtype);
}

Value* Evaluator::value(int i) {
  if (auto it = kept_.find(i); it != kept_.end()) return it->second;
  if (auto it = seen_.find(i); it != seen_.end()) return it->second;
  const Instruction& in = region_.body[static_cast<size_t>(i)];
  Value* result = nullptr;
  switch (in.kind) {
  case Kind::load:
    result = load(in);
    break;
  case Kind::gather:
    result = gather(in, span(i));
    break;
  case Kind::index:
    result = index_value(in);
    if (Value* holds = guarded(in)) result = builder_.CreateSelect(holds, result, outside(in));
    break;
  case Kind::constant:
    result = constant(in);
    if (Value* holds = guarded(in)) result = builder_.CreateSelect(holds, result, outside(in));
    break;
  case Kind::compute:
    result = compute(in);
    break;
  case Kind::random:
    result = draw(in, span(i));
    break;
  case Kind::product:
    result = point_.product;
    break;
  default:
    fail("kernel '{}': %{} is asked for before its row is complete", part_.kernel.name, i);
  }
  seen_[i] = result;
  return result;
}

// Every second element: of two vectors, the second of which ends with the last element that is wanted.
Value* Evaluator::load_apart(llvm::FixedVectorType* type, Value* address, llvm::Align align) {
  const auto lanes = static_cast<int>(target_.lanes);
  Value* first = builder_.CreateAlignedLoad(type, address, align);
  Value* second = builder_.CreateAlignedLoad(
      type, builder_.CreateConstGEP1_64(type->getElementType(), address, static_cast<uint64_t>(lanes - 1)), align);
  std::vector<int> wanted;
  for (int lane = 0; lane < lanes; ++lane) wanted.push_back(2 * lane < lanes ? 2 * lane : 2 * lane + 1);
  return builder_.CreateShuffleVector(first, second, wanted);
}

// Every second element: two masked stores of the lanes spread out.
void Evaluator::store_apart(Value* v, Value* address, llvm::Align align) {
  auto* type = llvm::cast<llvm::FixedVectorType>(v->getType());
  const auto lanes = static_cast<int>(type->getNumElements());
  llvm::Value* every = llvm::Constant::getAllOnesValue(vector_type(builder_.getInt1Ty()));
  llvm::Value* mask = point_.mask ? point_.mask : every;
  for (int half = 0; half < 2; ++half) {
    std::vector<int> spread;  // odd lanes are of a vector of zeros
    for (int lane = 0; lane < lanes; ++lane) spread.push_back(lane % 2 ? lanes : half * lanes / 2 + lane / 2);
    Value* x = builder_.CreateShuffleVector(v, llvm::Constant::getNullValue(type), spread);
    Value* m = builder_.CreateShuffleVector(mask, llvm::Constant::getNullValue(mask->getType()), spread);
    builder_.CreateMaskedStore(
        x, builder_.CreateConstGEP1_64(type->getElementType(), address, static_cast<uint64_t>(half * lanes)), align, m);
  }
}

// The first `count` lanes, in pieces: a store under a mask takes 12 cycles on a Zen 3.
void Evaluator::store_first(Value* v, int64_t count, Value* address, llvm::Align align) {
  llvm::Type* element = llvm::cast<llvm::FixedVectorType>(v->getType())->getElementType();
  int64_t done = 0;
  for (int64_t piece = llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements(); piece > 0; piece /= 2) {
    if (done + piece > count) continue;
    Value* to = builder_.CreateConstInBoundsGEP1_64(element, address, static_cast<uint64_t>(done));
    std::vector<int> lanes;
    for (int64_t lane = done; lane < done + piece; ++lane) lanes.push_back(static_cast<int>(lane));
    builder_.CreateAlignedStore(piece == 1 ? builder_.CreateExtractElement(v, static_cast<uint64_t>(done))
                                           : builder_.CreateShuffleVector(v, lanes),
                                to, align);
    done += piece;
  }
}

// Elements one after the other, so many of them a column; all that are valid.
void Evaluator::store_next(Value* v, int64_t a_column, Value* address, llvm::Align align) {
  if (!point_.mask) {
    builder_.CreateAlignedStore(v, address, align);
  } else if (point_.valid && target_.lanes <= 8) {  // AVX-512 has registers for masks
    store_first(v, a_column * point_.valid, address, align);
  } else {
    std::vector<int> lanes;
    for (int64_t lane = 0; lane < a_column * target_.lanes; ++lane) lanes.push_back(static_cast<int>(lane / a_column));
    builder_.CreateMaskedStore(v, address, align,
                               a_column == 1 ? point_.mask : builder_.CreateShuffleVector(point_.mask, lanes));
  }
}

void Evaluator::store(int i) {
  const Instruction& in = region_.body[static_cast<size_t>(i)];
  llvm::Type* element = memory_type(builder_.getContext(), in.dtype);
  const llvm::Align align(size_of(in.dtype));
  const auto in_memory = [&](int operand) {
    Value* v = value(operand);
    return in.dtype == DType::boolean ? builder_.CreateZExt(v, vector_type(element)) : v;
  };
  Value* v = in_memory(in.operands[0]);
  const bool along = along_columns(in.access);
  Value* address = builder_.CreateInBoundsGEP(element, parameter(in.parameter), offset(in.access, along));
  if (!along) {
    builder_.CreateAlignedStore(builder_.CreateExtractElement(v, uint64_t{0}), address, align);
  } else if (in.access.strides.back() == 1) {
    store_next(v, 1, address, align);
  } else if (in.operands.size() == 2) {
    const auto lanes = static_cast<int>(target_.lanes);
    std::vector<int> in_turn;
    for (int lane = 0; lane < 2 * lanes; ++lane) in_turn.push_back(lane / 2 + lane % 2 * lanes);
    store_next(builder_.CreateShuffleVector(v, in_memory(in.operands[1]), in_turn), 2, address, align);
  } else if (in.access.strides.back() == 2) {
    store_apart(v, address, align);
  } else {
    Value* addresses = builder_.CreateInBoundsGEP(element, splat(address), lane_offsets(in.access.strides.back()));
    Value* all = llvm::Constant::getAllOnesValue(vector_type(builder_.getInt1Ty()));
    builder_.CreateMaskedScatter(v, addresses, align, point_.mask ? point_.mask : all);
  }
}

}  // namespace gmc::codegen
