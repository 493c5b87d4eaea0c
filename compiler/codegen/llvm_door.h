// The door to LLVM: from a module to object code. Included by code generation only.
#pragma once

#include "compiler/codegen/target.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <memory>
#include <string>

namespace gmc::codegen {

// Object code, position independent; JIT and AOT use the same bytes.
using Object = std::string;

std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target&);
// An empty module with the target's triple and data layout.
std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext&, const std::string& name, llvm::TargetMachine&);
// Verifies (throws `Error` with LLVM's text) and runs the light pipeline: mem2reg, EarlyCSE, InstCombine, SimplifyCFG.
void optimise(llvm::Module&, llvm::TargetMachine&);
Object emit_object(llvm::Module&, llvm::TargetMachine&);
std::string emit_assembly(llvm::Module&, llvm::TargetMachine&);
std::string print_module(const llvm::Module&);

}  // namespace gmc::codegen
