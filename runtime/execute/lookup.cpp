#include "runtime/execute/lookup.h"

#include <string.h>

namespace gmc::execute {
namespace {

struct DTypeRow {
  const char* name;
  uint64_t bytes;
};

constexpr DTypeRow dtypes[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}, {"i32", 4},
                               {"i64", 8}, {"i8", 1},  {"u8", 1},   {"bool", 1}};
constexpr uint32_t dtype_count = sizeof dtypes / sizeof dtypes[0];

int64_t find_tensor(const Package* p, const Tensor* tensors, uint64_t count, const char* name) {
  for (uint64_t i = 0; i < count; ++i)
    if (strcmp(string_at(p, tensors[i].name), name) == 0) return static_cast<int64_t>(i);
  return -1;
}

// Does [first, first + count) lie within [0, limit)?
constexpr bool within(uint64_t first, uint64_t count, uint64_t limit) {
  return first <= limit && count <= limit - first;
}

// The checks of one package. Each method returns false after it has reported.
class Checker {
public:
  Checker(const Package* p, Message* message) : p_(p), message_(message) {}

  bool tables(uint64_t bytes) {
    if (p_->magic != package_magic)
      return bad("not a gmc package: magic is %08x, expected %08x", p_->magic, package_magic);
    if (p_->version != package_version)
      return bad("package has format version %u, this runtime reads %u", p_->version, package_version);
    if (p_->bytes < sizeof(Package) || (bytes != 0 && p_->bytes > bytes))
      return bad("package says it has %llu bytes, got %llu", ull(p_->bytes), ull(bytes));
    return array("buffers", p_->buffers, p_->buffer_count, sizeof(Buffer)) &&
           array("operands", p_->operands, p_->operand_count, sizeof(uint32_t)) &&
           array("states", p_->states, p_->state_count, sizeof(Tensor)) &&
           array("tensors", p_->tensors, p_->tensor_count, sizeof(Tensor)) &&
           array("steps", p_->steps, p_->step_count, sizeof(Step)) &&
           array("entries", p_->entries, p_->entry_count, sizeof(Entry)) &&
           array("constants", p_->constants, p_->constant_bytes, 1) && strings();
  }

  bool contents() {
    if (!string(p_->name, "model name") || !string(p_->config, "configuration")) return false;
    for (uint32_t i = 0; i < p_->state_count; ++i) {
      const Tensor& t = state_at(p_, i);
      if (!tensor(t)) return false;
      if (!within(t.offset, t.bytes, p_->state_bytes))
        return bad("state '%s' ends past the %llu bytes of state", string_at(p_, t.name), ull(p_->state_bytes));
    }
    for (uint32_t i = 0; i < p_->tensor_count; ++i)
      if (!tensor(table<Tensor>(p_, p_->tensors)[i])) return false;
    for (uint32_t i = 0; i < p_->buffer_count; ++i)
      if (!buffer(i)) return false;
    for (uint32_t i = 0; i < p_->operand_count; ++i)
      if (table<uint32_t>(p_, p_->operands)[i] >= p_->buffer_count)
        return bad("operand %u names buffer %u of %u", i, table<uint32_t>(p_, p_->operands)[i], p_->buffer_count);
    for (uint32_t i = 0; i < p_->step_count; ++i)
      if (!step(step_at(p_, i), i)) return false;
    for (uint32_t i = 0; i < p_->entry_count; ++i)
      if (!entry(entry_at(p_, i))) return false;
    return true;
  }

private:
  using ull = unsigned long long;

  template <class... Values>
  bool bad(const char* format, Values... values) {
    // The extra value goes unprinted: without any, clang takes the format for a text from outside.
    if (message_) snprintf(message_->text, sizeof message_->text, format, values..., 0);
    return false;
  }

  bool array(const char* what, uint64_t offset, uint64_t count, uint64_t size) {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) || !within(offset, bytes, p_->bytes))
      return bad("table of %s: %llu at byte %llu do not fit into %llu bytes", what, ull(count), ull(offset),
                 ull(p_->bytes));
    if (offset % 8 != 0) return bad("table of %s at byte %llu is not aligned", what, ull(offset));
    return true;
  }

  // The last byte of the package ends whatever string reaches it.
  bool strings() {
    if (p_->strings >= p_->bytes)
      return bad("table of strings at byte %llu lies outside the package", ull(p_->strings));
    if (reinterpret_cast<const char*>(p_)[p_->bytes - 1] != 0)
      return bad("the last string of the package does not end");
    return true;
  }

  bool string(uint32_t offset, const char* what) {
    if (offset < p_->bytes - p_->strings) return true;
    return bad("%s at string byte %u lies outside the package", what, offset);
  }

  bool tensor(const Tensor& t) {
    if (!string(t.name, "tensor name")) return false;
    const char* name = string_at(p_, t.name);
    if (t.rank > max_rank) return bad("tensor '%s' has rank %u, at most %u is possible", name, t.rank, max_rank);
    uint64_t bytes = dtype_bytes(t.dtype);
    if (bytes == 0) return bad("tensor '%s' has unknown dtype %u", name, t.dtype);
    for (uint32_t i = 0; i < t.rank; ++i)
      if (t.extents[i] < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(t.extents[i]), &bytes))
        return bad("tensor '%s' has an impossible extent %lld", name, static_cast<long long>(t.extents[i]));
    if (bytes != t.bytes)
      return bad("tensor '%s' says %llu bytes, its shape needs %llu", name, ull(t.bytes), ull(bytes));
    return true;
  }

  bool buffer(uint32_t index) {
    const Buffer& b = buffer_at(p_, index);
    if (b.view_of != 0) {
      if (b.view_of > p_->buffer_count)
        return bad("buffer %u is a view of buffer %u of %u", index, b.view_of - 1, p_->buffer_count);
      const Buffer& whole = buffer_at(p_, b.view_of - 1);
      const bool indexed = b.space == Space::input || b.space == Space::output;
      const uint64_t at = indexed ? b.view_offset - whole.view_offset : b.offset - whole.offset;
      const bool follows = whole.view_of == 0 || (b.loop != 0 && b.view_of <= index);
      if (!follows || whole.space != b.space || (indexed && whole.offset != b.offset) ||
          !within(at, b.bytes, whole.bytes))
        return bad("buffer %u is not a part of buffer %u that it is a view of", index, b.view_of - 1);
    }
    if (b.loop != 0 && !moves_within(b, index)) return false;
    switch (b.space) {
    case Space::arena:
      return in_space(b, index, "arena", p_->arena_bytes);
    case Space::state:
      return in_space(b, index, "state", p_->state_bytes);
    case Space::constant:
      return in_space(b, index, "constants", p_->constant_bytes);
    case Space::input:
    case Space::output:
      return true;  // checked with the entries that use them
    }
    return bad("buffer %u is in unknown space %u", index, static_cast<uint32_t>(b.space));
  }

  // The last trip sees the view inside what it is a view of.
  bool moves_within(const Buffer& b, uint32_t index) {
    if (b.view_of == 0 || b.loop > p_->step_count || step_at(p_, b.loop - 1).kind != StepKind::loop)
      return bad("buffer %u moves with step %u, which is no loop", index, b.loop - 1);
    const Buffer& whole = buffer_at(p_, b.view_of - 1);
    const bool indexed = b.space == Space::input || b.space == Space::output;
    const uint64_t at = indexed ? b.view_offset - whole.view_offset : b.offset - whole.offset;
    const uint64_t trips = step_at(p_, b.loop - 1).control.trips;
    uint64_t end = 0;
    if (b.stride < 0 || (trips > 0 && __builtin_mul_overflow(trips - 1, static_cast<uint64_t>(b.stride), &end)) ||
        __builtin_add_overflow(end, at, &end) || !within(end, b.bytes, whole.bytes))
      return bad("buffer %u leaves buffer %u in the %llu trips of its loop", index, b.view_of - 1, ull(trips));
    return true;
  }

  bool in_space(const Buffer& b, uint32_t index, const char* space, uint64_t limit) {
    if (within(b.offset, b.bytes, limit)) return true;
    return bad("buffer %u: %llu bytes at %llu end past the %llu of the %s", index, ull(b.bytes), ull(b.offset),
               ull(limit), space);
  }

  bool step(const Step& s, uint32_t index) {
    if (!string(s.name, "step name")) return false;
    const char* name = string_at(p_, s.name);
    if (!within(s.first_operand, s.operand_count, p_->operand_count))
      return bad("step '%s' has operands outside the table", name);
    const auto operand_bytes = [&](uint32_t i) {
      return buffer_at(p_, table<uint32_t>(p_, p_->operands)[s.first_operand + i]).bytes;
    };
    switch (s.kind) {
    case StepKind::launch:
      if (s.function < p_->function_count) return true;
      return bad("step '%s' launches function %u of %u", name, s.function, p_->function_count);
    case StepKind::copy:
      if (s.operand_count != 2 || operand_bytes(0) != operand_bytes(1))
        return bad("copy '%s' needs two buffers of the same size", name);
      return true;
    case StepKind::matmul:
      return matmul(s, name, operand_bytes);
    case StepKind::loop:
    case StepKind::cond:
      return control(s, name, operand_bytes);
    }
    return bad("step %u ('%s') is of unknown kind %u", index, name, static_cast<uint32_t>(s.kind));
  }

  template <class Bytes>
  bool matmul(const Step& s, const char* name, Bytes operand_bytes) {
    const MatmulCall& c = s.matmul;
    const bool bias = c.flags & matmul_bias;
    if (s.operand_count != (bias ? 4u : 3u)) return bad("product '%s' has %u operands", name, s.operand_count);
    constexpr int64_t limit = int64_t{1} << 30;
    if (c.m < 1 || c.n < 1 || c.k < 1 || c.m > limit || c.n > limit || c.k > limit || c.rows_per_tile < 1)
      return bad("product '%s' has an impossible size", name);
    const auto bytes = [](int64_t a, int64_t b) { return static_cast<uint64_t>(a * b) * 4; };
    if (operand_bytes(0) < bytes(c.m, c.k) || operand_bytes(1) < bytes(c.k, c.n) ||
        operand_bytes(2) < bytes(c.m, c.n) || (bias && operand_bytes(3) < bytes(c.n, 1)))
      return bad("product '%s': a buffer is smaller than its matrix", name);
    return true;
  }

  template <class Bytes>
  bool control(const Step& s, const char* name, Bytes operand_bytes) {
    const ControlCall& c = s.control;
    const bool asks = s.kind == StepKind::cond || c.first > 0;
    if (asks ? c.predicate >= s.operand_count || operand_bytes(c.predicate) < 1 : c.predicate != none)
      return bad("step '%s' has no operand %u for its predicate", name, c.predicate);
    if (s.kind == StepKind::loop && !asks && c.trips == endless) return bad("loop '%s' has no end", name);
    if (c.index == none) return true;
    if (s.kind == StepKind::loop && c.index < s.operand_count &&
        (operand_bytes(c.index) == 4 || operand_bytes(c.index) == 8))
      return true;
    return bad("step '%s' has no operand %u for its index", name, c.index);
  }

  // Parts lie inside the steps of what they belong to, and what moves with a loop inside its steps.
  bool parts(uint64_t first, uint64_t count, uint32_t depth, const char* entry) {
    if (depth > 64) return bad("entry '%s' nests loops more than 64 deep", entry);
    for (uint64_t i = first; i < first + count; ++i) {
      const Step& s = step_at(p_, i);
      for (uint32_t j = 0; j < s.operand_count; ++j) {
        const Buffer& b = operand_buffer(s, j);
        if (b.loop == 0) continue;
        const Step& loop = step_at(p_, b.loop - 1);
        bool known = i >= b.loop && i - b.loop < uint64_t{loop.control.first} + loop.control.second;
        bool found = false;
        for (uint32_t k = 0; k < loop.operand_count; ++k)
          found |= table<uint32_t>(p_, p_->operands)[loop.first_operand + k] == b.view_of - 1;
        if (!known || !found)
          return bad("entry '%s': step '%s' uses a view that moves with another loop", entry, string_at(p_, s.name));
      }
      if (s.kind != StepKind::loop && s.kind != StepKind::cond) continue;
      const ControlCall& c = s.control;
      if (uint64_t{c.first} + c.second > first + count - 1 - i)
        return bad("entry '%s': the parts of step '%s' do not end", entry, string_at(p_, s.name));
      if (!parts(i + 1, c.first, depth + 1, entry) || !parts(i + 1 + c.first, c.second, depth + 1, entry)) return false;
      i += uint64_t{c.first} + c.second;
    }
    return true;
  }
  const Buffer& operand_buffer(const Step& s, uint32_t j) const {
    return buffer_at(p_, table<uint32_t>(p_, p_->operands)[s.first_operand + j]);
  }

  bool entry(const Entry& e) {
    if (!string(e.name, "entry name")) return false;
    const char* name = string_at(p_, e.name);
    if (!within(e.first_input, e.input_count, p_->tensor_count) ||
        !within(e.first_output, e.output_count, p_->tensor_count) ||
        !within(e.first_step, e.step_count, p_->step_count))
      return bad("entry '%s' has inputs, outputs or steps outside the tables", name);
    for (uint32_t i = 0; i < e.step_count; ++i) {
      const Step& s = step_at(p_, e.first_step + i);
      for (uint32_t j = 0; j < s.operand_count; ++j) {
        const Buffer& b = buffer_at(p_, table<uint32_t>(p_, p_->operands)[s.first_operand + j]);
        if (b.space != Space::input && b.space != Space::output) continue;
        const bool in = b.space == Space::input;
        if (b.offset >= (in ? e.input_count : e.output_count))
          return bad("entry '%s': step '%s' uses %s %llu, which it has not", name, string_at(p_, s.name),
                     in ? "input" : "output", ull(b.offset));
        const Tensor& t = in ? input_of(p_, e, b.offset) : output_of(p_, e, b.offset);
        if (b.view_offset > t.bytes || b.bytes > t.bytes - b.view_offset)
          return bad("entry '%s': step '%s' uses more of '%s' than it has", name, string_at(p_, s.name),
                     string_at(p_, t.name));
      }
    }
    return parts(e.first_step, e.step_count, 0, name);
  }

  const Package* p_;
  Message* message_;
};

}  // namespace

Status validate(const Package* p, uint64_t bytes, Message* message) {
  if (!p) return report(message, Status::invalid, "no package given (null pointer)");
  if (bytes != 0 && bytes < sizeof(Package))
    return report(message, Status::invalid, "package of %llu bytes is cut short",
                  static_cast<unsigned long long>(bytes));
  Checker checker(p, message);
  return checker.tables(bytes) && checker.contents() ? Status::ok : Status::invalid;
}

int64_t find_entry(const Package* p, const char* name) {
  for (uint32_t i = 0; i < p->entry_count; ++i)
    if (strcmp(string_at(p, entry_at(p, i).name), name) == 0) return i;
  return -1;
}

int64_t find_state(const Package* p, const char* name) {
  return find_tensor(p, table<Tensor>(p, p->states), p->state_count, name);
}

int64_t find_input(const Package* p, const Entry& e, const char* name) {
  return find_tensor(p, table<Tensor>(p, p->tensors) + e.first_input, e.input_count, name);
}

int64_t find_output(const Package* p, const Entry& e, const char* name) {
  return find_tensor(p, table<Tensor>(p, p->tensors) + e.first_output, e.output_count, name);
}

const char* dtype_name(uint32_t dtype) { return dtype < dtype_count ? dtypes[dtype].name : "unknown"; }
uint64_t dtype_bytes(uint32_t dtype) { return dtype < dtype_count ? dtypes[dtype].bytes : 0; }

}  // namespace gmc::execute
