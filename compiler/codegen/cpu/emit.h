// Kernel IR -> LLVM functions of the type execute::Kernel, for CPUs with vectors.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/codegen/llvm_door.h"
#include "compiler/codegen/part.h"
#include "compiler/kernel/kernel.h"

#include <string>
#include <string_view>
#include <vector>

namespace gmc::codegen {

// Defines the function `symbol` that computes a part; a product that packs an operand gets `<symbol>_pack` in front.
// What it calls is private to the module and shared by the parts in it. Returns what to call, without arguments.
KernelCode emit_part(llvm::Module&, const Part&, const std::string& symbol, const Target&);

// Regions of a phase side by side: a function whose tiles are those of other functions, one after the other.
struct TableEntry {
  std::string symbol;
  int64_t tiles = 0;
  size_t arguments = 0;  // how many of the table's are its own
};
void emit_table(llvm::Module&, const std::string& symbol, const std::vector<TableEntry>&);

// All that the code of a part or table depends on, besides the target, as text; and a symbol made of that, which
// contains no text of the user's.
std::string identity_of(const Part&);
std::string identity_of(const std::vector<TableEntry>&);
std::string name_of(const std::string& identity, std::string_view prefix);
// Parts with much code in common follow each other when sorted by this.
std::string kind_of(const Part&, const Target&);

// The sizes a product's temporary parameter must have, in floats: set by prepare_products(), before memory is planned.
// Adds the `packed` parameter where the generator wants one, and returns how many parameters (all temporary) it
// appended.
int prepare_products(kernel::Kernel&, const Target&);

}  // namespace gmc::codegen
