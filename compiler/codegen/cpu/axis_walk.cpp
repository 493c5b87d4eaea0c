#include "compiler/codegen/cpu/axis_walk.h"

#include <algorithm>
#include <utility>

namespace gmc::codegen {

using llvm::Value;

namespace {

std::vector<Value*> take_apart(llvm::IRBuilder<>& b, Value* position, const std::vector<Value*>& extents) {
  std::vector<Value*> out(extents.size(), position);
  for (size_t axis = out.size(); axis-- > 1;) {
    out[axis] = b.CreateURem(out[0], extents[axis]);
    out[0] = b.CreateUDiv(out[0], extents[axis]);
  }
  return out;
}

}  // namespace

AxisWalk::AxisWalk(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, std::vector<Value*> extents)
    : builder_(builder), extents_(std::move(extents)) {
  if (extents_.size() < 2 || std::all_of(extents_.begin() + 1, extents_.end(), llvm::IsaPred<llvm::ConstantInt>))
    return;
  for (size_t axis = 0; axis < extents_.size(); ++axis) slots_.push_back(entry.CreateAlloca(entry.getInt64Ty()));
}

void AxisWalk::start(Value* position) {
  if (slots_.empty()) return;
  const std::vector<Value*> indices = take_apart(builder_, position, extents_);
  for (size_t axis = 0; axis < slots_.size(); ++axis) builder_.CreateStore(indices[axis], slots_[axis]);
}

void AxisWalk::next() {
  Value* step = builder_.getInt64(1);
  for (size_t axis = slots_.size(); axis-- > 0;) {
    Value* index = builder_.CreateAdd(builder_.CreateLoad(builder_.getInt64Ty(), slots_[axis]), step);
    if (axis) {
      Value* over = builder_.CreateICmpEQ(index, extents_[axis]);
      index = builder_.CreateSelect(over, builder_.getInt64(0), index);
      step = builder_.CreateZExt(over, builder_.getInt64Ty());
    }
    builder_.CreateStore(index, slots_[axis]);
  }
}

std::vector<Value*> AxisWalk::indices(Value* position) const {
  if (slots_.empty()) return take_apart(builder_, position, extents_);
  std::vector<Value*> out;
  for (Value* slot : slots_) out.push_back(builder_.CreateLoad(builder_.getInt64Ty(), slot));
  return out;
}

OffsetWalk::OffsetWalk(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, std::vector<Value*> extents,
                       std::vector<Value*> strides)
    : builder_(builder), extents_(std::move(extents)), strides_(std::move(strides)), carries_(extents_.size()) {
  for (size_t axis = 1; axis < extents_.size(); ++axis)
    carries_[axis] = entry.CreateSub(strides_[axis - 1], entry.CreateMul(extents_[axis], strides_[axis]));
  for (size_t i = 0; i < extents_.size(); ++i) slots_.push_back(entry.CreateAlloca(entry.getInt64Ty()));
}

void OffsetWalk::start(Value* position) {
  if (slots_.empty()) return;
  std::vector<Value*> state = take_apart(builder_, position, extents_);
  state[0] = builder_.CreateMul(state[0], strides_[0]);
  for (size_t axis = 1; axis < state.size(); ++axis)
    state[0] = builder_.CreateAdd(state[0], builder_.CreateMul(state[axis], strides_[axis]));
  go_to(state);
}

void OffsetWalk::next() {
  if (slots_.empty()) return;
  Value *sum = builder_.CreateAdd(offset(), strides_.back()), *step = builder_.getInt64(1);
  for (size_t axis = extents_.size(); axis-- > 1;) {
    Value* index = builder_.CreateAdd(builder_.CreateLoad(builder_.getInt64Ty(), slots_[axis]), step);
    Value* over = builder_.CreateICmpEQ(index, extents_[axis]);
    builder_.CreateStore(builder_.CreateSelect(over, builder_.getInt64(0), index), slots_[axis]);
    sum = builder_.CreateSelect(over, builder_.CreateAdd(sum, carries_[axis]), sum);
    step = builder_.CreateZExt(over, builder_.getInt64Ty());
  }
  builder_.CreateStore(sum, slots_[0]);
}

Value* OffsetWalk::offset() const {
  if (slots_.empty()) return builder_.getInt64(0);
  return builder_.CreateLoad(builder_.getInt64Ty(), slots_[0]);
}

std::vector<Value*> OffsetWalk::state() const {
  std::vector<Value*> out;
  for (Value* slot : slots_) out.push_back(builder_.CreateLoad(builder_.getInt64Ty(), slot));
  return out;
}

void OffsetWalk::go_to(const std::vector<Value*>& state) {
  for (size_t i = 0; i < slots_.size(); ++i) builder_.CreateStore(state[i], slots_[i]);
}

}  // namespace gmc::codegen
