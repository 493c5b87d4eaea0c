// Numbers that code reads, because they are not part of it.
#pragma once

#include "compiler/codegen/llvm_door.h"

#include <cstdint>
#include <map>
#include <utility>

namespace gmc::codegen {

// Reads a table of them, each once, with a builder that stands where it dominates all uses.
class NumberTable {
public:
  NumberTable(llvm::IRBuilder<>& entry, llvm::Value* address) : entry_(entry), address_(address) {}

  llvm::Value* entry(int64_t place, llvm::Type* type) {
    llvm::Value*& known = known_[{place, type}];
    if (known) return known;
    llvm::Value* address =
        entry_.CreateConstInBoundsGEP1_64(entry_.getInt64Ty(), address_, static_cast<uint64_t>(place));
    return known = entry_.CreateAlignedLoad(type, address, llvm::Align(8));
  }

private:
  llvm::IRBuilder<>& entry_;
  llvm::Value* address_;
  std::map<std::pair<int64_t, llvm::Type*>, llvm::Value*> known_;
};

}  // namespace gmc::codegen
