#include "compiler/codegen/cpu/evaluate.h"

#include "compiler/codegen/vector_math.h"
#include "runtime/base/error.h"

#include <limits>

namespace gmc::codegen {

using kernel::Instruction;
using kernel::Span;
using llvm::Value;
using Kind = Instruction::Kind;

Evaluator::Evaluator(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, const Target& target,
                     const kernel::Kernel& kernel, const kernel::Region& region, Value* buffers, Value* run)
    : builder_(builder), target_(target), kernel_(kernel), region_(region), spans_(kernel::spans_of(region)) {
  VectorMath math(entry, target_.lanes, target_);
  for (const Instruction& in : region.body) {
    if (in.kind == Kind::random) keys_[in.stream] = math.stream_key(run, in.stream);
    if (in.parameter < 0 || parameters_.count(in.parameter)) continue;
    Value* slot = entry.CreateConstInBoundsGEP1_64(entry.getPtrTy(), buffers, static_cast<uint64_t>(in.parameter));
    parameters_[in.parameter] = entry.CreateLoad(entry.getPtrTy(), slot);
  }
}

void Evaluator::begin_row(Value* row) {
  std::erase_if(kept_, [&](const auto& kept) { return span(kept.first) != Span::scalar; });
  point_ = {row, nullptr, nullptr, nullptr};
  row_indices_.clear();
  row_indices();
  seen_.clear();
}

void Evaluator::begin_point(const Point& point) {
  if (point.row != point_.row) row_indices_.clear();
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

// The row number taken apart into the indices of the row axes.
const std::vector<Value*>& Evaluator::row_indices() {
  if (!row_indices_.empty()) return row_indices_;
  const size_t axes = region_.extents.size() - 1;
  row_indices_.assign(axes, nullptr);
  Value* rest = point_.row;
  for (size_t axis = axes; axis-- > 0;) {
    const bool last = axis == 0;
    row_indices_[axis] = last ? rest : builder_.CreateURem(rest, index(region_.extents[axis]));
    if (!last) rest = builder_.CreateUDiv(rest, index(region_.extents[axis]));
  }
  return row_indices_;
}

Value* Evaluator::offset(const kernel::Access& access, bool with_column) {
  Value* sum = index(access.base);
  for (size_t axis = 0; axis + 1 < region_.extents.size(); ++axis)
    if (access.strides[axis] != 0 && region_.extents[axis] != 1)
      sum = builder_.CreateAdd(sum, builder_.CreateMul(row_indices()[axis], index(access.strides[axis])));
  if (with_column) sum = builder_.CreateAdd(sum, builder_.CreateMul(point_.column, index(access.strides.back())));
  return sum;
}

Value* Evaluator::lane_offsets(int64_t stride) {
  return builder_.CreateMul(builder_.CreateStepVector(vector_type(builder_.getInt64Ty())), splat(index(stride)));
}

Value* Evaluator::load(const Instruction& in, Span span) {
  const bool is_bool = in.dtype == DType::boolean;
  llvm::Type* element = is_bool ? builder_.getInt8Ty() : builder_.getFloatTy();
  const llvm::Align align(is_bool ? 1 : 4);
  Value* address = builder_.CreateInBoundsGEP(element, parameter(in.parameter), offset(in.access, span == Span::full));
  Value* loaded = nullptr;
  if (span != Span::full) {
    loaded = splat(builder_.CreateAlignedLoad(element, address, align));
  } else if (in.access.strides.back() == 1) {
    llvm::Type* vector = vector_type(element);
    loaded = point_.mask ? static_cast<Value*>(builder_.CreateMaskedLoad(vector, address, align, point_.mask,
                                                                         llvm::Constant::getNullValue(vector)))
                         : builder_.CreateAlignedLoad(vector, address, align);
  } else {
    Value* addresses = builder_.CreateInBoundsGEP(element, splat(address), lane_offsets(in.access.strides.back()));
    loaded = builder_.CreateMaskedGather(vector_type(element), addresses, align, point_.mask,
                                         llvm::Constant::getNullValue(vector_type(element)));
  }
  return is_bool ? builder_.CreateICmpNE(loaded, llvm::Constant::getNullValue(loaded->getType())) : loaded;
}

Value* Evaluator::draw(const Instruction& in, Span span) {
  VectorMath math(builder_, target_.lanes, target_);
  Value* key = keys_.at(in.stream);
  Value* first = offset(in.access, span == Span::full);
  Value* words = nullptr;
  if (span == Span::full && in.access.strides.back() == 1) {
    words = math.philox_words(key, first);
  } else {
    Value* elements = splat(first);
    if (span == Span::full) elements = builder_.CreateAdd(elements, lane_offsets(in.access.strides.back()));
    words = math.philox_words_at(key, elements);
  }
  return in.function == "normal" ? math.normal_from_bits(words) : math.uniform_from_bits(words);
}

Value* Evaluator::compute(const Instruction& in) {
  Value* x[3] = {};
  for (size_t i = 0; i < in.operands.size(); ++i) x[i] = value(in.operands[i]);
  llvm::IRBuilder<>& b = builder_;
  const std::string& f = in.function;
  if (f == "copy") return x[0];
  if (f == "add") return b.CreateFAdd(x[0], x[1]);
  if (f == "sub") return b.CreateFSub(x[0], x[1]);
  if (f == "mul") return b.CreateFMul(x[0], x[1]);
  if (f == "div") return b.CreateFDiv(x[0], x[1]);
  if (f == "neg") return b.CreateFNeg(x[0]);
  if (f == "abs") return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x[0]);
  if (f == "less") return b.CreateFCmpOLT(x[0], x[1]);
  if (f == "equal") return b.CreateFCmpOEQ(x[0], x[1]);
  if (f == "select") return b.CreateSelect(x[0], x[1], x[2]);
  if (f == "max" || f == "min") return combine(b, f, x[0], x[1]);
  if (f == "to_f32") return b.CreateUIToFP(x[0], vector_type(b.getFloatTy()));
  if (f == "to_bool") return b.CreateFCmpUNE(x[0], llvm::Constant::getNullValue(x[0]->getType()));
  if (f == "sign") {
    Value* zero = llvm::Constant::getNullValue(x[0]->getType());
    Value* one = llvm::ConstantFP::get(x[0]->getType(), 1.0);
    Value* unit = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, one, x[0]);
    Value* value = b.CreateSelect(b.CreateFCmpONE(x[0], zero), unit, zero);
    return b.CreateSelect(b.CreateFCmpUNO(x[0], x[0]), x[0], value);
  }
  VectorMath math(b, target_.lanes, target_);
  if (f == "exp") return math.exp(x[0]);
  if (f == "log") return math.log(x[0]);
  if (f == "log1p") return math.log1p(x[0]);
  if (f == "expm1") return math.expm1(x[0]);
  if (f == "tanh") return math.tanh(x[0]);
  if (f == "sigmoid") return math.sigmoid(x[0]);
  if (f == "sqrt") return math.sqrt(x[0]);
  if (f == "rsqrt") return math.rsqrt(x[0]);
  if (f == "erf") return math.erf(x[0]);
  if (f == "softplus") return math.softplus(x[0]);
  if (f == "silu") return math.silu(x[0]);
  if (f == "gelu") return math.gelu(x[0]);
  if (f == "gelu_tanh") return math.gelu_tanh(x[0]);
  fail("code generation knows no function '{}'", f);
}

Value* Evaluator::value(int i) {
  if (auto it = kept_.find(i); it != kept_.end()) return it->second;
  if (auto it = seen_.find(i); it != seen_.end()) return it->second;
  const Instruction& in = region_.body[static_cast<size_t>(i)];
  Value* result = nullptr;
  switch (in.kind) {
  case Kind::load:
    result = load(in, span(i));
    break;
  case Kind::constant:
    result = in.dtype == DType::boolean ? splat(builder_.getInt1(in.value != 0))
                                        : llvm::ConstantFP::get(vector_type(builder_.getFloatTy()), in.value);
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
    fail("kernel '{}': %{} is asked for before its row is complete", kernel_.name, i);
  }
  seen_[i] = result;
  return result;
}

void Evaluator::store(int i) {
  const Instruction& in = region_.body[static_cast<size_t>(i)];
  Value* v = value(in.operands[0]);
  const bool is_bool = in.dtype == DType::boolean;
  llvm::Type* element = is_bool ? builder_.getInt8Ty() : builder_.getFloatTy();
  const llvm::Align align(is_bool ? 1 : 4);
  if (is_bool) v = builder_.CreateZExt(v, vector_type(element));
  const bool full = span(i) == Span::full;
  const bool along_columns = in.access.strides.back() != 0 && region_.extents.back() != 1;
  Value* address =
      builder_.CreateInBoundsGEP(element, parameter(in.parameter), offset(in.access, full && along_columns));
  if (!along_columns) {
    builder_.CreateAlignedStore(builder_.CreateExtractElement(v, uint64_t{0}), address, align);
  } else if (in.access.strides.back() == 1) {
    if (point_.mask)
      builder_.CreateMaskedStore(v, address, align, point_.mask);
    else
      builder_.CreateAlignedStore(v, address, align);
  } else {
    Value* addresses = builder_.CreateInBoundsGEP(element, splat(address), lane_offsets(in.access.strides.back()));
    Value* all = llvm::Constant::getAllOnesValue(vector_type(builder_.getInt1Ty()));
    builder_.CreateMaskedScatter(v, addresses, align, point_.mask ? point_.mask : all);
  }
}

Value* combine(llvm::IRBuilder<>& b, const std::string& monoid, Value* x, Value* y) {
  if (monoid == "sum") return b.CreateFAdd(x, y);
  if (monoid == "prod") return b.CreateFMul(x, y);
  // NaN if either is: the first wins when it is unordered with the second and itself NaN.
  Value* wins = monoid == "max" ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y);
  return b.CreateSelect(b.CreateOr(wins, b.CreateFCmpUNO(x, x)), x, y);
}

double monoid_identity(const std::string& monoid) {
  if (monoid == "sum") return 0;
  if (monoid == "prod") return 1;
  return monoid == "max" ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
}

Value* combine_lanes(llvm::IRBuilder<>& b, const std::string& monoid, Value* v) {
  auto lanes = static_cast<int>(llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements());
  while (lanes > 1) {
    lanes /= 2;
    std::vector<int> low, high;
    for (int i = 0; i < lanes; ++i) {
      low.push_back(i);
      high.push_back(i + lanes);
    }
    v = combine(b, monoid, b.CreateShuffleVector(v, low), b.CreateShuffleVector(v, high));
  }
  return b.CreateExtractElement(v, uint64_t{0});
}

}  // namespace gmc::codegen
