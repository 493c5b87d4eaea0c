#include "compiler/package/write.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cstring>

namespace gmc::package {

uint32_t PackageWriter::add_string(const std::string& text) {
  auto [it, inserted] = string_at_.try_emplace(text, static_cast<uint32_t>(strings_.size()));
  if (inserted) strings_.append(text.c_str(), text.size() + 1);
  return it->second;
}

uint32_t PackageWriter::add_buffer(const execute::Buffer& buffer) {
  buffers_.push_back(buffer);
  return static_cast<uint32_t>(buffers_.size() - 1);
}

uint32_t PackageWriter::add_constant(const std::string& bytes) {
  auto [it, inserted] = constant_at_.try_emplace(bytes, static_cast<uint32_t>(buffers_.size()));
  if (!inserted) return it->second;
  constants_.resize((constants_.size() + 63) / 64 * 64, '\0');
  execute::Buffer buffer{};
  buffer.space = execute::Space::constant;
  buffer.offset = constants_.size();
  buffer.bytes = bytes.size();
  constants_ += bytes;
  return add_buffer(buffer);
}

uint32_t PackageWriter::add_function(const std::string& symbol) {
  auto it = std::find(functions_.begin(), functions_.end(), symbol);
  if (it == functions_.end()) it = functions_.insert(it, symbol);
  return static_cast<uint32_t>(it - functions_.begin());
}

execute::Tensor PackageWriter::tensor(const std::string& name, const graph::TensorType& type, uint32_t flags) {
  if (type.shape.size() > execute::max_rank)
    fail("'{}' has rank {}: packages hold at most {}", name, type.shape.size(), execute::max_rank);
  execute::Tensor t{};
  t.name = add_string(name);
  t.dtype = static_cast<uint32_t>(type.dtype);
  t.rank = static_cast<uint32_t>(type.shape.size());
  t.flags = flags;
  std::copy(type.shape.begin(), type.shape.end(), t.extents);
  t.bytes = static_cast<uint64_t>(byte_size(type.dtype, type.shape));
  return t;
}

uint32_t PackageWriter::add_state(const std::string& name, const graph::TensorType& type, uint32_t flags) {
  execute::Tensor t = tensor(name, type, flags);
  t.offset = header.state_bytes;
  header.state_bytes += (t.bytes + 63) / 64 * 64;
  states_.push_back(t);
  return static_cast<uint32_t>(states_.size() - 1);
}

uint32_t PackageWriter::add_tensor(const std::string& name, const graph::TensorType& type, uint32_t flags) {
  tensors_.push_back(tensor(name, type, flags));
  return static_cast<uint32_t>(tensors_.size() - 1);
}

void PackageWriter::add_step(execute::Step step, const std::vector<uint32_t>& operands) {
  step.first_operand = static_cast<uint32_t>(operands_.size());
  step.operand_count = static_cast<uint32_t>(operands.size());
  operands_.insert(operands_.end(), operands.begin(), operands.end());
  steps_.push_back(step);
}

std::string PackageWriter::finish() {
  std::string out(sizeof(execute::Package), '\0');
  auto place = [&](const auto& table) {
    out.resize((out.size() + 63) / 64 * 64, '\0');
    const uint64_t at = out.size();
    out.append(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(table[0]));
    return at;
  };
  execute::Package& p = header;
  p.magic = execute::package_magic;
  p.version = execute::package_version;
  p.buffers = place(buffers_);
  p.operands = place(operands_);
  p.states = place(states_);
  p.tensors = place(tensors_);
  p.steps = place(steps_);
  p.entries = place(entries_);
  p.constants = place(constants_);
  p.strings = place(strings_);
  p.constant_bytes = constants_.size();
  p.function_count = static_cast<uint32_t>(functions_.size());
  p.buffer_count = static_cast<uint32_t>(buffers_.size());
  p.operand_count = static_cast<uint32_t>(operands_.size());
  p.state_count = static_cast<uint32_t>(states_.size());
  p.tensor_count = static_cast<uint32_t>(tensors_.size());
  p.step_count = static_cast<uint32_t>(steps_.size());
  p.entry_count = static_cast<uint32_t>(entries_.size());
  out.resize((out.size() + 63) / 64 * 64, '\0');
  p.bytes = out.size();
  std::memcpy(out.data(), &p, sizeof p);
  return out;
}

}  // namespace gmc::package
