// Puts packages together by hand, for tests that need no compiler.
#pragma once

#include "runtime/base/dtype.h"
#include "runtime/execute/executor.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace gmc::test {

using namespace gmc::execute;

class PackageBuilder {
public:
  explicit PackageBuilder(const std::string& name) {
    string("");
    package_.magic = package_magic;
    package_.version = package_version;
    package_.name = string(name);
    package_.config = string("{}");
  }

  uint32_t arena(uint64_t bytes) { return allocate(Space::arena, package_.arena_bytes, bytes); }
  uint32_t input(uint64_t index, uint64_t bytes) { return buffer({Space::input, 0, index, 0, bytes}); }
  uint32_t output(uint64_t index, uint64_t bytes) { return buffer({Space::output, 0, index, 0, bytes}); }
  uint32_t view(uint32_t of, uint64_t at, uint64_t bytes) {
    Buffer b = buffers_[of];
    b.view_of = of + 1;
    b.bytes = bytes;
    (b.space == Space::input || b.space == Space::output ? b.view_offset : b.offset) += at;
    return buffer(b);
  }
  uint32_t constant(const std::vector<float>& values) {
    const uint64_t offset = constants_.size(), bytes = values.size() * 4;
    constants_.resize((offset + bytes + 63) / 64 * 64);
    std::memcpy(constants_.data() + offset, values.data(), bytes);
    return buffer({Space::constant, 0, offset, 0, bytes});
  }
  uint32_t state(const std::string& name, std::vector<int64_t> shape, uint32_t flags = state_parameter,
                 DType dtype = f32) {
    Tensor t = tensor(name, shape, dtype, flags);
    const uint32_t b = allocate(Space::state, package_.state_bytes, t.bytes);
    t.offset = buffers_[b].offset;
    states_.push_back(t);
    return b;
  }
  void scratch(uint64_t bytes) { package_.scratch_bytes = bytes; }
  void isa(Isa isa) { package_.isa = static_cast<uint32_t>(isa); }

  Step& launch(const std::string& name, uint32_t function, uint64_t tiles, std::initializer_list<uint32_t> operands,
               bool serial = false) {
    Step& s = step(StepKind::launch, name, operands);
    s.function = function;
    s.tiles = tiles;
    s.serial = serial;
    package_.function_count = std::max(package_.function_count, function + 1);
    return s;
  }
  // A part of `of` that moves by `stride` bytes with each trip of the loop that is the `loop`-th step.
  uint32_t slice(uint32_t of, uint64_t bytes, int64_t stride, uint32_t loop) {
    const uint32_t b = view(of, 0, bytes);
    buffers_[b].stride = stride;
    buffers_[b].loop = loop + 1;
    return b;
  }
  Step& control(StepKind kind, const std::string& name, const ControlCall& call,
                std::initializer_list<uint32_t> operands) {
    Step& s = step(kind, name, operands);
    s.control = call;
    return s;
  }
  Step& copy(const std::string& name, uint32_t from, uint32_t to) { return step(StepKind::copy, name, {from, to}); }
  Step& matmul(const std::string& name, const MatmulCall& call, std::initializer_list<uint32_t> operands) {
    Step& s = step(StepKind::matmul, name, operands);
    s.matmul = call;
    return s;
  }

  // Tensors of the entry that the steps since the last entry belong to.
  using Interface = std::vector<std::pair<std::string, std::vector<int64_t>>>;
  void entry(const std::string& name, const Interface& inputs, const Interface& outputs, DType dtype = f32) {
    Entry e{};
    e.name = string(name);
    e.first_input = static_cast<uint32_t>(tensors_.size());
    e.input_count = static_cast<uint32_t>(inputs.size());
    for (const auto& [n, shape] : inputs) tensors_.push_back(tensor(n, shape, dtype, 0));
    e.first_output = static_cast<uint32_t>(tensors_.size());
    e.output_count = static_cast<uint32_t>(outputs.size());
    for (const auto& [n, shape] : outputs) tensors_.push_back(tensor(n, shape, dtype, 0));
    e.first_step = first_step_;
    e.step_count = static_cast<uint32_t>(steps_.size()) - first_step_;
    first_step_ = static_cast<uint32_t>(steps_.size());
    entries_.push_back(e);
  }

  // The package; aligned to 64 bytes as long as the result lives.
  const Package* finish() {
    std::vector<char> bytes(sizeof(Package));
    const auto add = [&](const auto& table, uint64_t& at) {
      bytes.resize((bytes.size() + 63) / 64 * 64);
      at = bytes.size();
      const auto* data = reinterpret_cast<const char*>(table.data());
      bytes.insert(bytes.end(), data, data + table.size() * sizeof(table[0]));
    };
    package_.buffer_count = static_cast<uint32_t>(buffers_.size());
    package_.operand_count = static_cast<uint32_t>(operands_.size());
    package_.state_count = static_cast<uint32_t>(states_.size());
    package_.tensor_count = static_cast<uint32_t>(tensors_.size());
    package_.step_count = static_cast<uint32_t>(steps_.size());
    package_.entry_count = static_cast<uint32_t>(entries_.size());
    package_.constant_bytes = constants_.size();
    add(buffers_, package_.buffers);
    add(operands_, package_.operands);
    add(states_, package_.states);
    add(tensors_, package_.tensors);
    add(steps_, package_.steps);
    add(entries_, package_.entries);
    add(constants_, package_.constants);
    add(strings_, package_.strings);
    package_.bytes = bytes.size();
    std::memcpy(bytes.data(), &package_, sizeof package_);
    block_.assign((bytes.size() + 63) / 64, Line{});
    std::memcpy(block_.data(), bytes.data(), bytes.size());
    return reinterpret_cast<const Package*>(block_.data());
  }

private:
  struct alignas(64) Line {
    char bytes[64];
  };

  uint32_t string(const std::string& text) {
    const auto at = static_cast<uint32_t>(strings_.size());
    strings_.insert(strings_.end(), text.begin(), text.end());
    strings_.push_back(0);
    return at;
  }
  uint32_t buffer(const Buffer& b) {
    buffers_.push_back(b);
    return static_cast<uint32_t>(buffers_.size() - 1);
  }
  uint32_t allocate(Space space, uint64_t& end, uint64_t bytes) {
    const uint64_t offset = end;
    end = (end + bytes + 63) / 64 * 64;
    return buffer({space, 0, offset, 0, bytes});
  }
  Tensor tensor(const std::string& name, const std::vector<int64_t>& shape, DType dtype, uint32_t flags) {
    Tensor t{};
    t.name = string(name);
    t.dtype = static_cast<uint32_t>(dtype);
    t.rank = static_cast<uint32_t>(shape.size());
    t.flags = flags;
    t.bytes = size_of(dtype);
    for (size_t i = 0; i < shape.size(); ++i) t.bytes *= static_cast<uint64_t>(t.extents[i] = shape[i]);
    return t;
  }
  Step& step(StepKind kind, const std::string& name, std::initializer_list<uint32_t> operands) {
    Step s{};
    s.kind = kind;
    s.name = string(name);
    s.first_operand = static_cast<uint32_t>(operands_.size());
    s.operand_count = static_cast<uint32_t>(operands.size());
    operands_.insert(operands_.end(), operands);
    steps_.push_back(s);
    return steps_.back();
  }

  Package package_{};
  std::vector<Buffer> buffers_;
  std::vector<uint32_t> operands_;
  std::vector<Tensor> states_, tensors_;
  std::vector<Step> steps_;
  std::vector<Entry> entries_;
  std::vector<char> constants_, strings_;
  std::vector<Line> block_;
  uint32_t first_step_ = 0;
};

// Owns a context.
struct Opened {
  Message message;
  Context* context = nullptr;
  Opened(const Package* p, const Kernel* functions, const Options& options = {})
      : context(Context::create(p, functions, options, &message)) {}
  ~Opened() { Context::destroy(context); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  Context* operator->() const { return context; }
};

}  // namespace gmc::test
