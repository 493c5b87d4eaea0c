// A generated function that several places may call.
#pragma once

#include <functional>
#include <string>

namespace llvm {
class Module;
}

namespace gmc::codegen {

struct Leaf {
  std::string symbol;  // named after all that its code depends on, besides the target
  std::string kind;    // those with much in common follow each other when sorted by this
  std::function<void(llvm::Module&)> define;
};

}  // namespace gmc::codegen
