// A position that steps through axes, without a division a step.
#pragma once

#include "compiler/codegen/llvm_door.h"

#include <vector>

namespace gmc::codegen {

// Both keep what changes in variables of the function, which `entry` declares. Axes are outermost first; the first one
// is not asked how long it is. Positions are i64 in [0, product of the extents).

// Tells the index along each axis.
class AxisWalk {
public:
  AxisWalk(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, std::vector<llvm::Value*> extents);

  void start(llvm::Value* position);
  void next();
  // One an axis, i64. The caller knows the position, too: where extents are constants, nothing else is kept.
  std::vector<llvm::Value*> indices(llvm::Value* position) const;

private:
  llvm::IRBuilder<>& builder_;
  std::vector<llvm::Value*> extents_, slots_;
};

// Tells the sum of index * stride.
class OffsetWalk {
public:
  OffsetWalk(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, std::vector<llvm::Value*> extents,
             std::vector<llvm::Value*> strides);

  void start(llvm::Value* position);
  void next();
  llvm::Value* offset() const;
  std::vector<llvm::Value*> state() const;
  void go_to(const std::vector<llvm::Value*>& state);

private:
  llvm::IRBuilder<>& builder_;
  std::vector<llvm::Value*> extents_, strides_;
  std::vector<llvm::Value*> carries_;  // what the offset grows by where an axis begins anew
  std::vector<llvm::Value*> slots_;    // of the offset, then of the index along each axis but the first
};

}  // namespace gmc::codegen
