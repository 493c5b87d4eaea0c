// Writes a package: the tables of runtime/execute/package.h as one block of bytes.
#pragma once

#include "compiler/graph/graph.h"
#include "runtime/execute/package.h"

#include <map>
#include <string>
#include <vector>

namespace gmc::package {

class PackageWriter {
public:
  uint32_t add_string(const std::string&);
  uint32_t add_buffer(const execute::Buffer&);
  const execute::Buffer& buffer(uint32_t id) const { return buffers_[id]; }
  // A buffer of the constant space that holds these bytes; equal contents share their place.
  uint32_t add_constant(const std::string& bytes);
  uint32_t add_function(const std::string& symbol);  // equal symbols share an entry
  uint32_t add_state(const std::string& name, const graph::TensorType&, uint32_t flags);
  // Bytes from the start of the state block.
  uint64_t state_offset(uint32_t state) const { return states_[state].offset; }
  // Inputs and outputs of one entry must be added one after the other.
  uint32_t add_tensor(const std::string& name, const graph::TensorType&, uint32_t flags);
  // Operands: indices of buffers.
  void add_step(execute::Step, const std::vector<uint32_t>& operands);
  void add_entry(execute::Entry entry) { entries_.push_back(entry); }
  uint32_t step_count() const { return static_cast<uint32_t>(steps_.size()); }

  execute::Package header{};  // name, isa, plan_hash, config, arena_bytes and scratch_bytes are the caller's to set
  std::string finish();
  const std::vector<std::string>& functions() const { return functions_; }

private:
  execute::Tensor tensor(const std::string& name, const graph::TensorType&, uint32_t flags);

  std::string strings_, constants_;
  std::map<std::string, uint32_t> string_at_;
  std::map<std::string, uint32_t> constant_at_;
  std::vector<execute::Buffer> buffers_;
  std::vector<uint32_t> operands_;
  std::vector<execute::Tensor> states_, tensors_;
  std::vector<execute::Step> steps_;
  std::vector<execute::Entry> entries_;
  std::vector<std::string> functions_;
};

}  // namespace gmc::package
