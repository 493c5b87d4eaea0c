#include "compiler/codegen/cpu/region.h"

#include "compiler/codegen/cpu/axis_walk.h"
#include "compiler/codegen/cpu/evaluate.h"
#include "compiler/codegen/cpu/functions.h"
#include "compiler/codegen/cpu/gemm_parts.h"
#include "compiler/codegen/cpu/row_passes.h"

#include <functional>
#include <optional>
#include <set>

namespace gmc::codegen {
namespace {

using kernel::Instruction;
using kernel::Span;
using llvm::Value;
using Kind = Instruction::Kind;

class RegionEmitter {
public:
  RegionEmitter(llvm::Module& module, const Part& part, const std::string& symbol, const Target& target)
      : region_(part.kernel.phases[0].regions[0]), target_(target), passes_(region_), builder_(module.getContext()),
        entry_(module.getContext()), function_(make_kernel(module, symbol)) {
    function_->addFnAttr("prefer-vector-width", "512");
    entry_.SetInsertPoint(block("entry"));
    start_ = block("start");
    builder_.SetInsertPoint(start_);
    Value* buffers = function_->getArg(0);
    scratch_ = function_->getArg(3);
    sizes_ = emit_buffer(entry_, buffers, 0);
    rows_ = size_of_slot(SizeSlot::rows);
    const int64_t width = kernel::columns_of(region_);
    columns_ = knows_columns(width, target) ? constant(width) : size_of_slot(SizeSlot::columns);
    Value* numbers =
        entry_.CreateConstInBoundsGEP1_64(entry_.getInt64Ty(), sizes_, static_cast<uint64_t>(SizeSlot::count));
    rows_of_tile_.emplace(builder_, entry_, row_extents(entry_, part, numbers));
    evaluate_.emplace(builder_, entry_, target, part, buffers, numbers, function_->getArg(4));
  }

  void emit() {
    const bool one_block = region_.tile_columns >= kernel::columns_of(region_);
    Value *tile_rows = size_of_slot(SizeSlot::tile_rows), *tile_columns = nullptr, *column_blocks = nullptr;
    if (!one_block) {
      tile_columns = size_of_slot(SizeSlot::tile_columns);
      column_blocks = size_of_slot(SizeSlot::column_blocks);
    }
    if (!passes_.saved.empty()) saved_bytes_ = size_of_slot(SizeSlot::saved_bytes);
    keep_scalars();
    loop(function_->getArg(1), function_->getArg(2), 1, [&](Value* tile) {
      row_block_ = one_block ? tile : builder_.CreateUDiv(tile, column_blocks);
      row_begin_ = builder_.CreateMul(row_block_, tile_rows);
      Value* row_end = minimum(builder_.CreateAdd(row_begin_, tile_rows), rows_);
      column_begin_ = constant(0);
      column_end_ = columns_;
      if (!one_block) {
        column_begin_ = builder_.CreateMul(builder_.CreateURem(tile, column_blocks), tile_columns);
        column_end_ = minimum(builder_.CreateAdd(column_begin_, tile_columns), columns_);
      }
      // The same for all rows.
      Value* count = builder_.CreateSub(column_end_, column_begin_);
      whole_end_ = builder_.CreateAdd(column_begin_, builder_.CreateAnd(count, constant(-target_.lanes)));
      if (has_rest()) rest_mask_ = evaluate_->first_lanes(builder_.CreateSub(column_end_, whole_end_));
      start_folds();
      rows_of_tile_->start(row_begin_);
      loop(row_begin_, row_end, 1, [&](Value* row) {
        emit_row(row);
        rows_of_tile_->next();
      });
      finish_folds();
    });
    builder_.CreateRetVoid();
    entry_.CreateBr(start_);
  }

private:
  Value* constant(int64_t v) { return builder_.getInt64(static_cast<uint64_t>(v)); }
  llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(builder_.getContext(), name, function_); }
  Value* size_of_slot(SizeSlot slot) {
    return NumberTable(entry_, sizes_).entry(static_cast<int64_t>(slot), entry_.getInt64Ty());
  }
  Value* minimum(Value* v, Value* limit) { return builder_.CreateSelect(builder_.CreateICmpULT(v, limit), v, limit); }
  const Instruction& at(int i) const { return region_.body[static_cast<size_t>(i)]; }
  int size() const { return static_cast<int>(region_.body.size()); }
  Span span(int i) const { return passes_.spans[static_cast<size_t>(i)]; }
  int level_of(int i) const { return passes_.levels[static_cast<size_t>(i)]; }
  llvm::FixedVectorType* vector(DType d) { return evaluate_->vector_type(register_type(builder_.getContext(), d)); }
  llvm::FixedVectorType* vector(int i) { return vector(at(i).dtype); }
  Value* identity(int i) {
    return vector_constant(builder_.getContext(), at(i).dtype, monoid_identity(at(i).function, at(i).dtype),
                           target_.lanes);
  }
  Value* combined(int i, Value* x, Value* y) { return combine(builder_, at(i).function, at(i).dtype, x, y); }

  // A variable of the function; promoted to a register later.
  Value* variable(llvm::Type* type, Value* initial) {
    llvm::IRBuilder<> entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
    Value* slot = entry.CreateAlloca(type);
    builder_.CreateStore(initial, slot);
    return slot;
  }

  void loop(Value* begin, Value* end, int64_t step, const std::function<void(Value*)>& body) {
    Value* slot = variable(builder_.getInt64Ty(), begin);
    llvm::BasicBlock *head = block("loop"), *inside = block("body"), *after = block("after");
    builder_.CreateBr(head);
    builder_.SetInsertPoint(head);
    Value* index = builder_.CreateLoad(builder_.getInt64Ty(), slot);
    builder_.CreateCondBr(builder_.CreateICmpULT(index, end), inside, after);
    builder_.SetInsertPoint(inside);
    body(index);
    builder_.CreateStore(builder_.CreateAdd(index, constant(step)), slot);
    builder_.CreateBr(head);
    builder_.SetInsertPoint(after);
  }

  void keep_scalars() {
    // What an empty space reads may be empty, too.
    if (kernel::rows_of(region_) * kernel::columns_of(region_) == 0) return;
    for (int i = 0; i < size(); ++i)
      if (span(i) == Span::scalar && level_of(i) == 0 && has_value(i)) evaluate_->keep(i, evaluate_->value(i));
  }
  static bool is_effect(Kind kind) { return kind == Kind::store || kind == Kind::fold; }
  bool has_value(int i) const {
    return !is_effect(at(i).kind) && at(i).kind != Kind::row && at(i).kind != Kind::product;
  }

  // Address of the partial result of a fold along the columns, at a column.
  Value* fold_address(int i, Value* column) {
    Value* first = builder_.CreateMul(row_block_, columns_);
    return builder_.CreateInBoundsGEP(memory_type(builder_.getContext(), at(i).dtype),
                                      evaluate_->parameter(at(i).parameter), builder_.CreateAdd(first, column));
  }

  void start_folds() {
    for (int i = 0; i < size(); ++i) {
      if (at(i).kind != Kind::fold) continue;
      if (span(i) != Span::full) {
        row_folds_[i] = variable(vector(i), identity(i));
        continue;
      }
      columns([&](Value* column, Value* mask) { write(fold_address(i, column), identity(i), mask, at(i).dtype); });
    }
  }
  void finish_folds() {
    if (row_folds_.empty()) return;
    once(Span::row, nullptr, [&] {
      for (const auto& [i, slot] : row_folds_) {
        llvm::Type* element = memory_type(builder_.getContext(), at(i).dtype);
        Value* address = builder_.CreateInBoundsGEP(element, evaluate_->parameter(at(i).parameter), row_block_);
        Value* sum = builder_.CreateExtractElement(builder_.CreateLoad(vector(i), slot), uint64_t{0});
        builder_.CreateAlignedStore(builder_.CreateZExtOrBitCast(sum, element), address,
                                    llvm::Align(size_of(at(i).dtype)));
      }
    });
  }

  void write(Value* address, Value* v, Value* mask, DType d) {
    const llvm::Align align(size_of(d));
    v = builder_.CreateZExtOrBitCast(v, evaluate_->vector_type(memory_type(builder_.getContext(), d)));
    if (mask)
      builder_.CreateMaskedStore(v, address, align, mask);
    else
      builder_.CreateAlignedStore(v, address, align);
  }
  Value* read(Value* address, Value* mask, DType d) {
    const llvm::Align align(size_of(d));
    llvm::Type* type = evaluate_->vector_type(memory_type(builder_.getContext(), d));
    llvm::Constant* null = llvm::Constant::getNullValue(type);
    Value* v = mask ? evaluate_->load_masked(type->getScalarType(), address, mask)
                    : builder_.CreateAlignedLoad(type, address, align);
    return d == DType::boolean ? builder_.CreateICmpNE(v, null) : v;
  }

  // Whether rows may end with a part of a vector.
  bool has_rest() const {
    return kernel::columns_of(region_) % target_.lanes != 0 || region_.tile_columns % target_.lanes != 0;
  }

  // How many columns are left behind the whole vectors; 0: not known, or none.
  int64_t known_rest() const {
    const int64_t width = kernel::columns_of(region_);
    return region_.tile_columns >= width && knows_columns(width, target_) ? width % target_.lanes : 0;
  }

  // The columns of the tile, a full vector at a time and then what is left under a mask.
  void columns(const std::function<void(Value* column, Value* mask)>& body) {
    const int64_t width = kernel::columns_of(region_), lanes = target_.lanes;
    const bool one_block = region_.tile_columns >= width;
    if (one_block && width < 2 * lanes && knows_columns(width, target_)) {
      if (width >= lanes) body(column_begin_, nullptr);
    } else if (width >= lanes) {
      loop(column_begin_, whole_end_, lanes, [&](Value* column) { body(column, nullptr); });
    }
    if (!has_rest()) return;
    if (one_block && width % lanes != 0) return body(whole_end_, rest_mask_);  // each row has a rest
    llvm::BasicBlock *rest = block("rest"), *after = block("after");
    builder_.CreateCondBr(builder_.CreateICmpULT(whole_end_, column_end_), rest, after);
    builder_.SetInsertPoint(rest);
    body(whole_end_, rest_mask_);
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
  }

  void emit_row(Value* row) {
    evaluate_->begin_row(row, rows_of_tile_->indices(row));
    for (int level = 0; level <= passes_.last_level; ++level) {
      row_values(row, level);
      column_pass(row, level);
    }
  }

  // What does not vary along the columns and is known before the pass of this level.
  void row_values(Value* row, int level) {
    evaluate_->begin_point({.row = row});
    for (int i = 0; i < size(); ++i) {
      if (level_of(i) != level || span(i) == Span::full) continue;
      if (has_value(i) && !(span(i) == Span::scalar && level == 0)) evaluate_->keep(i, evaluate_->value(i));
    }
    for (int i = 0; i < size(); ++i) {
      if (level_of(i) != level || span(i) == Span::full) continue;
      if (at(i).kind == Kind::store) {
        // Known to what follows the condition, too.
        for (int operand : at(i).operands) evaluate_->value(operand);
        once(span(i), row, [&] { evaluate_->store(i); });
      }
      if (at(i).kind == Kind::fold) {
        Value* sum = builder_.CreateLoad(vector(i), row_folds_.at(i));
        builder_.CreateStore(combined(i, sum, evaluate_->value(at(i).operands[0])), row_folds_.at(i));
      }
    }
  }

  // Where several tiles know a value, the first of them writes it: no element is written by two threads.
  void once(Span span, Value* row, const std::function<void()>& write_it) {
    Value* first = nullptr;
    const auto only_at = [&](Value* index) {
      Value* here = builder_.CreateICmpEQ(index, constant(0));
      first = first ? builder_.CreateAnd(first, here) : here;
    };
    if (region_.tile_columns < kernel::columns_of(region_)) only_at(column_begin_);
    if (span == Span::scalar && kernel::rows_of(region_) > 1) only_at(row);
    if (!first) return write_it();
    llvm::BasicBlock *inside = block("first"), *after = block("after");
    builder_.CreateCondBr(first, inside, after);
    builder_.SetInsertPoint(inside);
    write_it();
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
  }

  void column_pass(Value* row, int level) {
    std::vector<int> sinks, saves;
    for (int i = 0; i < size(); ++i)
      if (passes_.is_sink(i) && passes_.sink_level(i) == level) sinks.push_back(i);
    for (int i : passes_.saved)
      if (level_of(i) == level) saves.push_back(i);
    if (sinks.empty() && saves.empty()) return;
    std::map<int, Value*> sums;
    for (int i : sinks)
      if (at(i).kind == Kind::row) sums[i] = variable(vector(i), identity(i));
    columns([&](Value* column, Value* mask) {
      evaluate_->begin_point({.row = row, .column = column, .mask = mask, .valid = mask ? known_rest() : 0});
      const std::set<int> kept_before = restore(column, level);
      for (int i : sinks)
        for (int operand : at(i).operands) evaluate_->value(operand);
      for (int i : saves) write(saved_address(i, column), evaluate_->value(i), nullptr, at(i).dtype);
      for (int i : sinks) emit_sink(i, column, mask, sums);
      for (int i : kept_before) evaluate_->forget(i);
    });
    for (const auto& [i, slot] : sums)
      evaluate_->keep(i, evaluate_->splat(combine_lanes(builder_, at(i).function, at(i).dtype,
                                                        builder_.CreateLoad(vector(i), slot))));
  }

  Value* saved_address(int i, Value* column) {
    const auto number = std::distance(passes_.saved.begin(), passes_.saved.find(i));
    Value* row =
        builder_.CreateInBoundsGEP(builder_.getInt8Ty(), scratch_, builder_.CreateMul(saved_bytes_, constant(number)));
    return builder_.CreateInBoundsGEP(memory_type(builder_.getContext(), at(i).dtype), row,
                                      builder_.CreateSub(column, column_begin_));
  }

  // Makes the saved values of earlier passes the values at this point. Scratch rows have room for whole vectors.
  std::set<int> restore(Value* column, int level) {
    std::set<int> restored;
    for (int i : passes_.saved) {
      if (level_of(i) >= level) continue;
      evaluate_->keep(i, read(saved_address(i, column), nullptr, at(i).dtype));
      restored.insert(i);
    }
    return restored;
  }

  void emit_sink(int i, Value* column, Value* mask, const std::map<int, Value*>& sums) {
    const Instruction& in = at(i);
    if (in.kind == Kind::store) return evaluate_->store(i);
    Value* v = evaluate_->value(in.operands[0]);
    if (in.kind == Kind::fold) {
      Value* address = fold_address(i, column);
      return write(address, combined(i, read(address, mask, in.dtype), v), mask, in.dtype);
    }
    Value* sum = builder_.CreateLoad(vector(i), sums.at(i));
    Value* next = combined(i, sum, v);
    builder_.CreateStore(mask ? builder_.CreateSelect(mask, next, sum) : next, sums.at(i));
  }

  const kernel::Region& region_;
  const Target& target_;
  const RowPasses passes_;
  llvm::IRBuilder<> builder_, entry_;
  llvm::Function* function_;
  llvm::BasicBlock* start_ = nullptr;
  std::optional<AxisWalk> rows_of_tile_;
  std::optional<Evaluator> evaluate_;
  Value *scratch_ = nullptr, *sizes_ = nullptr, *rows_ = nullptr, *columns_ = nullptr, *saved_bytes_ = nullptr;
  Value *row_block_ = nullptr, *row_begin_ = nullptr, *column_begin_ = nullptr, *column_end_ = nullptr;
  Value *whole_end_ = nullptr, *rest_mask_ = nullptr;  // of the columns that are whole vectors; of what follows them
  std::map<int, Value*> row_folds_;
};

}  // namespace

void emit_region(llvm::Module& module, const Part& part, const std::string& symbol, const Target& target) {
  RegionEmitter(module, part, symbol, target).emit();
}

}  // namespace gmc::codegen
