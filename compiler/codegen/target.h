// What the code is generated for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::codegen {

struct Target {
  std::string name;  // `native`, `x86-64-v3`, ...: how it was asked for
  std::string triple;
  std::string cpu;       // LLVM's name
  std::string features;  // LLVM's attribute string
  int lanes = 8;         // floats of one vector: 16, 8 or 4
  int registers = 16;    // vector registers
  int64_t l1_bytes = 32 << 10, l2_bytes = 1 << 20;
  uint32_t isa = 0;  // execute::Isa: what the executable checks for when it starts
};

// The machine this runs on.
Target host_target();
// One of target_names(); throws `Error` otherwise.
Target target_named(std::string_view);
const std::vector<std::string>& target_names();

}  // namespace gmc::codegen
