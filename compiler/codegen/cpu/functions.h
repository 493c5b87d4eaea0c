// The scalar functions of the kernel IR on vectors, and how dtypes lie in registers and in memory.
#pragma once

#include "compiler/codegen/llvm_door.h"
#include "runtime/base/dtype.h"

#include <span>
#include <string>

namespace gmc::codegen {

// One element in a register: bool is a bit, halves are their bits.
llvm::Type* register_type(llvm::LLVMContext&, DType);
// The same in memory: bool is a byte.
llvm::Type* memory_type(llvm::LLVMContext&, DType);
// A constant of this type in all `lanes`; what is no value of an integer dtype is truncated and saturated.
llvm::Constant* vector_constant(llvm::LLVMContext&, DType, double value, int lanes);

// function(operands), operands being vectors of dtype `from` (that of the operands that are no condition), as a vector
// of dtype `to`. Throws `Error` for a function that does not know the dtype.
llvm::Value* emit_function(llvm::IRBuilder<>&, const Target&, const std::string& function,
                           std::span<llvm::Value* const> operands, DType from, DType to);

// Combines two vectors by a monoid, and its identity; the same NaN rules as the graph.
llvm::Value* combine(llvm::IRBuilder<>&, const std::string& monoid, DType, llvm::Value*, llvm::Value*);
double monoid_identity(const std::string& monoid, DType);
// All lanes of a vector combined, as a scalar: halves onto halves, so the order depends on the number of lanes only.
llvm::Value* combine_lanes(llvm::IRBuilder<>&, const std::string& monoid, DType, llvm::Value*);

}  // namespace gmc::codegen
