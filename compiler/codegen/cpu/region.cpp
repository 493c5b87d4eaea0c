#include "compiler/codegen/cpu/region.h"

#include "compiler/codegen/cpu/evaluate.h"
#include "compiler/codegen/cpu/functions.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

namespace gmc::codegen {
namespace {

using kernel::Instruction;
using kernel::Span;
using llvm::Value;
using Kind = Instruction::Kind;

// A value along the columns that a later pass over the same row needs is computed again if that is cheaper than keeping
// the row: at most this many additions.
constexpr int recompute_limit = 3;

class RegionEmitter {
public:
  RegionEmitter(llvm::Module& module, const kernel::Kernel& kernel, const kernel::Region& region,
                const std::string& symbol, const Target& target)
      : region_(region), target_(target), builder_(module.getContext()) {
    llvm::Type *pointer = builder_.getPtrTy(), *i64 = builder_.getInt64Ty();
    auto* type = llvm::FunctionType::get(builder_.getVoidTy(), {pointer, i64, pointer, pointer}, false);
    function_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, symbol, module);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr("prefer-vector-width", "512");
    builder_.SetInsertPoint(block("entry"));
    scratch_ = function_->getArg(2);
    evaluate_.emplace(builder_, builder_, target, kernel, region, function_->getArg(0), function_->getArg(3));
    find_levels();
  }

  RegionFunction emit() {
    const int64_t rows = kernel::rows_of(region_), columns = kernel::columns_of(region_);
    const int64_t column_blocks = std::max<int64_t>(1, (columns + region_.tile_columns - 1) / region_.tile_columns);
    Value* tile = function_->getArg(1);
    row_block_ = builder_.CreateUDiv(tile, constant(column_blocks));
    Value* column_block = builder_.CreateURem(tile, constant(column_blocks));
    row_begin_ = builder_.CreateMul(row_block_, constant(region_.tile_rows));
    Value* row_end = minimum(builder_.CreateAdd(row_begin_, constant(region_.tile_rows)), rows);
    column_begin_ = builder_.CreateMul(column_block, constant(region_.tile_columns));
    column_end_ = minimum(builder_.CreateAdd(column_begin_, constant(region_.tile_columns)), columns);
    keep_scalars();
    start_folds();
    loop(row_begin_, row_end, 1, [&](Value* row) { emit_row(row); });
    finish_folds();
    builder_.CreateRetVoid();
    return {function_, scratch_bytes_};
  }

private:
  Value* constant(int64_t v) { return builder_.getInt64(static_cast<uint64_t>(v)); }
  llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(builder_.getContext(), name, function_); }
  Value* minimum(Value* v, int64_t limit) {
    return builder_.CreateSelect(builder_.CreateICmpULT(v, constant(limit)), v, constant(limit));
  }
  const Instruction& at(int i) const { return region_.body[static_cast<size_t>(i)]; }
  int size() const { return static_cast<int>(region_.body.size()); }
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

  // The pass over a row in which each value is first known: a `row` result is known after the pass of its operand.
  void find_levels() {
    for (const Instruction& in : region_.body) {
      int level = 0;
      for (int operand : in.operands)
        level = std::max(level, levels_[static_cast<size_t>(operand)] + (in.kind == Kind::row ? 1 : 0));
      if (in.kind == Kind::row) level = levels_[static_cast<size_t>(in.operands[0])] + 1;
      levels_.push_back(level);
      last_level_ = std::max(last_level_, level);
    }
    find_saved();
  }

  // In additions; what is dearer than the limit is not counted to its end, which would follow every path of the body.
  int recompute_cost(int i, int below) const {
    const Instruction& in = at(i);
    if (evaluate_->span(i) != Span::full || levels_[static_cast<size_t>(i)] > below) return 0;
    int cost = in.kind == Kind::compute  ? kernel::function_named(in.function)->cost
               : in.kind == Kind::random ? 60
               : in.kind == Kind::gather ? 8
                                         : 0;
    for (size_t k = 0; k < in.operands.size() && cost <= recompute_limit; ++k)
      cost += recompute_cost(in.operands[k], below);
    return cost;
  }

  // Values that a later pass reads and that are dear: they are kept for the row, in scratch memory.
  void find_saved() {
    for (int i = 0; i < size(); ++i) {
      if (!is_sink(i)) continue;
      mark_saved(at(i).operands[0], sink_level(i));
    }
    const int64_t row = std::min(region_.tile_columns, kernel::columns_of(region_)) + target_.lanes;
    for (int i : saved_) {
      saved_at_[i] = scratch_bytes_;
      scratch_bytes_ += row * static_cast<int64_t>(size_of(at(i).dtype)) / 64 * 64 + 64;
    }
  }
  void mark_saved(int i, int level) {
    if (evaluate_->span(i) != Span::full || at(i).kind == Kind::row || !marked_.insert({i, level}).second) return;
    const int own = levels_[static_cast<size_t>(i)];
    if (own < level && at(i).dtype != DType::boolean && recompute_cost(i, own) > recompute_limit) {
      if (saved_.insert(i).second) mark_saved(i, own);
      return;
    }
    for (int operand : at(i).operands) mark_saved(operand, level);
  }

  // What a pass over the columns is made for.
  bool is_sink(int i) const {
    const Kind kind = at(i).kind;
    if (kind == Kind::row) return true;
    return (kind == Kind::store || kind == Kind::fold) && evaluate_->span(i) == Span::full;
  }
  int sink_level(int i) const {
    return at(i).kind == Kind::row ? levels_[static_cast<size_t>(i)] - 1 : levels_[static_cast<size_t>(i)];
  }

  void keep_scalars() {
    for (int i = 0; i < size(); ++i)
      if (evaluate_->span(i) == Span::scalar && levels_[static_cast<size_t>(i)] == 0 && has_value(i))
        evaluate_->keep(i, evaluate_->value(i));
  }
  static bool is_effect(Kind kind) { return kind == Kind::store || kind == Kind::fold; }
  bool has_value(int i) const {
    return !is_effect(at(i).kind) && at(i).kind != Kind::row && at(i).kind != Kind::product;
  }

  // Address of the partial result of a fold along the columns, at a column.
  Value* fold_address(int i, Value* column) {
    Value* first = builder_.CreateMul(row_block_, constant(kernel::columns_of(region_)));
    return builder_.CreateInBoundsGEP(memory_type(builder_.getContext(), at(i).dtype),
                                      evaluate_->parameter(at(i).parameter), builder_.CreateAdd(first, column));
  }

  void start_folds() {
    for (int i = 0; i < size(); ++i) {
      if (at(i).kind != Kind::fold) continue;
      if (evaluate_->span(i) != Span::full) {
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
    Value* v = mask ? static_cast<Value*>(builder_.CreateMaskedLoad(type, address, align, mask, null))
                    : builder_.CreateAlignedLoad(type, address, align);
    return d == DType::boolean ? builder_.CreateICmpNE(v, null) : v;
  }

  // The columns of the tile, a full vector at a time and then what is left under a mask.
  void columns(const std::function<void(Value* column, Value* mask)>& body) {
    const int64_t width = kernel::columns_of(region_), lanes = target_.lanes;
    Value* count = builder_.CreateSub(column_end_, column_begin_);
    Value* whole = builder_.CreateAdd(column_begin_, builder_.CreateAnd(count, constant(-lanes)));
    if (width >= lanes) loop(column_begin_, whole, lanes, [&](Value* column) { body(column, nullptr); });
    if (width % lanes == 0 && region_.tile_columns % lanes == 0) return;
    llvm::BasicBlock *rest = block("rest"), *after = block("after");
    builder_.CreateCondBr(builder_.CreateICmpULT(whole, column_end_), rest, after);
    builder_.SetInsertPoint(rest);
    body(whole, evaluate_->first_lanes(builder_.CreateSub(column_end_, whole)));
    builder_.CreateBr(after);
    builder_.SetInsertPoint(after);
  }

  void emit_row(Value* row) {
    evaluate_->begin_row(row);
    for (int level = 0; level <= last_level_; ++level) {
      row_values(row, level);
      column_pass(row, level);
    }
  }

  // What does not vary along the columns and is known before the pass of this level.
  void row_values(Value* row, int level) {
    evaluate_->begin_point({row, nullptr, nullptr, nullptr});
    for (int i = 0; i < size(); ++i) {
      if (levels_[static_cast<size_t>(i)] != level || evaluate_->span(i) == Span::full) continue;
      if (has_value(i) && !(evaluate_->span(i) == Span::scalar && level == 0)) evaluate_->keep(i, evaluate_->value(i));
    }
    for (int i = 0; i < size(); ++i) {
      if (levels_[static_cast<size_t>(i)] != level || evaluate_->span(i) == Span::full) continue;
      if (at(i).kind == Kind::store) {
        evaluate_->value(at(i).operands[0]);  // known to what follows the condition, too
        once(evaluate_->span(i), row, [&] { evaluate_->store(i); });
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
      if (is_sink(i) && sink_level(i) == level) sinks.push_back(i);
    for (int i : saved_)
      if (levels_[static_cast<size_t>(i)] == level) saves.push_back(i);
    if (sinks.empty() && saves.empty()) return;
    std::map<int, Value*> sums;
    for (int i : sinks)
      if (at(i).kind == Kind::row) sums[i] = variable(vector(i), identity(i));
    columns([&](Value* column, Value* mask) {
      evaluate_->begin_point({row, column, mask, nullptr});
      const std::set<int> kept_before = restore(column, level);
      for (int i : sinks) evaluate_->value(at(i).operands[0]);
      for (int i : saves) write(saved_address(i, column), evaluate_->value(i), nullptr, at(i).dtype);
      for (int i : sinks) emit_sink(i, column, mask, sums);
      for (int i : kept_before) evaluate_->forget(i);
    });
    for (const auto& [i, slot] : sums)
      evaluate_->keep(i, evaluate_->splat(combine_lanes(builder_, at(i).function, at(i).dtype,
                                                        builder_.CreateLoad(vector(i), slot))));
  }

  Value* saved_address(int i, Value* column) {
    Value* row = builder_.CreateInBoundsGEP(builder_.getInt8Ty(), scratch_, constant(saved_at_.at(i)));
    return builder_.CreateInBoundsGEP(memory_type(builder_.getContext(), at(i).dtype), row,
                                      builder_.CreateSub(column, column_begin_));
  }

  // Makes the saved values of earlier passes the values at this point. Scratch rows have room for whole vectors.
  std::set<int> restore(Value* column, int level) {
    std::set<int> restored;
    for (int i : saved_) {
      if (levels_[static_cast<size_t>(i)] >= level) continue;
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
  llvm::IRBuilder<> builder_;
  llvm::Function* function_ = nullptr;
  std::optional<Evaluator> evaluate_;
  Value *scratch_ = nullptr, *row_block_ = nullptr, *row_begin_ = nullptr, *column_begin_ = nullptr,
        *column_end_ = nullptr;
  std::vector<int> levels_;
  int last_level_ = 0;
  std::set<int> saved_;
  std::set<std::pair<int, int>> marked_;  // instructions, and passes for which what they need is saved
  std::map<int, int64_t> saved_at_;
  std::map<int, Value*> row_folds_;
  int64_t scratch_bytes_ = 0;
};

}  // namespace

RegionFunction emit_region(llvm::Module& module, const kernel::Kernel& kernel, const kernel::Region& region,
                           const std::string& symbol, const Target& target) {
  return RegionEmitter(module, kernel, region, symbol, target).emit();
}

}  // namespace gmc::codegen
