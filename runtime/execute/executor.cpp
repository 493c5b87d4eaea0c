#include "runtime/execute/executor.h"

#include "runtime/execute/layout.h"
#include "runtime/execute/lookup.h"
#include "runtime/execute/random.h"
#include "runtime/execute/thread_pool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <new>

namespace gmc::execute {
namespace {

constexpr uint64_t copy_tile = 128 << 10;  // bytes

uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t matmul_tiles(const MatmulCall& c) {
  return (static_cast<uint64_t>(c.m) + c.rows_per_tile - 1) / c.rows_per_tile;
}

// An operand that is an input or output of the call and so gets its address anew each time.
struct Patch {
  uint32_t operand, buffer;
};

// An operand of a step in a loop whose buffer moves: in trip i it lies i * stride bytes after `start` in the loop's
// operand `whole`.
struct Move {
  uint32_t operand, whole;
  int64_t start, stride;
};

template <class T>
T* array_of(uint64_t count) {
  return static_cast<T*>(calloc(count ? count : 1, sizeof(T)));
}

}  // namespace

struct Context::Impl {
  const Package* package = nullptr;
  const Kernel* functions = nullptr;
  const Libraries* libraries = nullptr;
  bool guard = false, null_device = false;
  Layout layout;
  ThreadPool pool;
  void** operands = nullptr;        // address of each entry of the table of operands
  Patch* patches = nullptr;         // of all entries, one after the other
  uint64_t* first_patch = nullptr;  // of each entry, and the end
  Move* moves = nullptr;            // of all loops, one after the other
  uint64_t* first_move = nullptr;   // of each step, and the end
  void** handles = nullptr;         // of library calls, for each step
  uint64_t* step_times = nullptr;   // of the entry that is running, from its first step on
  uint64_t first_step = 0;
  const Watch* watch = nullptr;  // of the call that is running
  uint64_t depth = 0;            // of the loop that is running, in others
  Record* records = nullptr;
  uint64_t record_count = 0;

  ~Impl() {
    pool.stop();
    if (libraries && handles)
      for (uint32_t i = 0; i < package->step_count; ++i)
        if (handles[i]) libraries->matmul_destroy(handles[i]);
    free(operands);
    free(patches);
    free(first_patch);
    free(moves);
    free(first_move);
    free(handles);
    free(records);
  }

  Status set_up(const Options&, Message*);
  Status set_up_calls(const Options&, Message*);
  bool set_up_operands();
  bool set_up_moves();
  Status bind(const Entry&, uint64_t entry, const void* const* inputs, void* const* outputs, Message*);
  void copy_back(const Entry&, uint64_t entry, void* const* outputs);
  Status run_steps(uint64_t first, uint64_t count, const RunParameters&, Message*);
  Status run_step(uint64_t index, const RunParameters&, Message*);
  Status loop(uint64_t index, const RunParameters&, Message*);
  void launch(const Step&, const RunParameters&);
  void copy(const Step&);
  bool matmul(const Step&, void* handle);

  template <class F>
  void share(const Step& s, uint64_t tiles, const F& f) {
    if (!s.serial) return pool.run(tiles, f);
    if (tiles) f(0, tiles, 0);
  }
};

Status Context::Impl::set_up(const Options& options, Message* message) {
  if (options.threads < 0 || options.threads > max_threads)
    return report(message, Status::invalid, "%d threads asked for, 1 to %d are possible", options.threads, max_threads);
  if (options.guard && options.memory) return report(message, Status::invalid, "guard mode needs memory of its own");
  guard = options.guard && !options.null_device;
  null_device = options.null_device;
  if (!null_device) {
    for (uint32_t i = 0; i < package->function_count; ++i)
      if (!functions || !functions[i])
        return report(message, Status::invalid, "function %u of %u is null", i, package->function_count);
  }
  const int threads = options.threads ? options.threads : usable_cpus();
  Options mine = options;
  mine.guard = guard;
  if (const Status status = layout.set_up(package, mine, threads, message); status != Status::ok) return status;
  if (!set_up_operands() || !set_up_moves()) return report(message, Status::memory, "out of memory for tables");
  if (null_device) return Status::ok;
  if (const Status status = set_up_calls(options, message); status != Status::ok) return status;
  if (!pool.start(threads))
    return report(message, Status::memory, "the system gives no more than %d of %d threads", pool.threads(), threads);
  return Status::ok;
}

bool Context::Impl::set_up_operands() {
  const Package* p = package;
  uint64_t patch_count = 0, longest = 0;
  const auto each_operand = [&](auto&& use) {
    for (uint32_t i = 0; i < p->entry_count; ++i) {
      use(i, none);
      const Entry& e = entry_at(p, i);
      for (uint32_t s = e.first_step; s < e.first_step + e.step_count; ++s)
        for (uint32_t j = 0; j < step_at(p, s).operand_count; ++j) use(i, step_at(p, s).first_operand + j);
      if (e.step_count > longest) longest = e.step_count;
    }
  };
  const auto* table_of_operands = table<uint32_t>(p, p->operands);
  const auto given = [&](uint32_t operand) {
    const Space space = buffer_at(p, table_of_operands[operand]).space;
    return space == Space::input || space == Space::output;
  };
  each_operand([&](uint32_t, uint32_t operand) { patch_count += operand != none && given(operand); });
  operands = array_of<void*>(p->operand_count);
  patches = array_of<Patch>(patch_count);
  first_patch = array_of<uint64_t>(uint64_t{p->entry_count} + 1);
  records = array_of<Record>(longest);
  handles = array_of<void*>(p->step_count);
  if (!operands || !patches || !first_patch || !records || !handles) return false;
  for (uint32_t i = 0; i < p->operand_count; ++i) operands[i] = layout.buffer(table_of_operands[i]);
  uint64_t at = 0;
  each_operand([&](uint32_t entry, uint32_t operand) {
    if (operand == none)
      first_patch[entry] = at;
    else if (given(operand))
      patches[at++] = {operand, table_of_operands[operand]};
  });
  first_patch[p->entry_count] = at;
  return true;
}

bool Context::Impl::set_up_moves() {
  const Package* p = package;
  const auto* table_of_operands = table<uint32_t>(p, p->operands);
  const auto each_move = [&](uint32_t index, auto&& use) {
    const Step& s = step_at(p, index);
    if (s.kind != StepKind::loop) return;
    const uint64_t end = index + uint64_t{s.control.first} + s.control.second;
    for (uint32_t i = index + 1; i <= end && i < p->step_count; ++i)
      for (uint32_t j = 0; j < step_at(p, i).operand_count; ++j) {
        const uint32_t operand = step_at(p, i).first_operand + j;
        const Buffer& b = buffer_at(p, table_of_operands[operand]);
        if (b.loop != index + 1) continue;
        const Buffer& whole = buffer_at(p, b.view_of - 1);
        uint32_t k = s.first_operand;
        while (k < s.first_operand + s.operand_count && table_of_operands[k] != b.view_of - 1) ++k;
        if (k == s.first_operand + s.operand_count) continue;  // of no entry: validate() refuses it in one
        const bool indexed = b.space == Space::input || b.space == Space::output;
        const uint64_t start = indexed ? b.view_offset - whole.view_offset : b.offset - whole.offset;
        use(Move{operand, k, static_cast<int64_t>(start), b.stride});
      }
  };
  uint64_t count = 0;
  for (uint32_t i = 0; i < p->step_count; ++i) each_move(i, [&](const Move&) { ++count; });
  moves = array_of<Move>(count);
  first_move = array_of<uint64_t>(uint64_t{p->step_count} + 1);
  if (!moves || !first_move) return false;
  uint64_t at = 0;
  for (uint32_t i = 0; i < p->step_count; ++i) {
    first_move[i] = at;
    each_move(i, [&](const Move& move) { moves[at++] = move; });
  }
  first_move[p->step_count] = at;
  return true;
}

Status Context::Impl::set_up_calls(const Options& options, Message* message) {
  for (uint32_t i = 0; i < package->step_count; ++i) {
    const Step& s = step_at(package, i);
    if (s.kind != StepKind::matmul) continue;
    const char* name = string_at(package, s.name);
    if (!options.libraries)
      return report(message, Status::invalid, "step '%s' calls a library, and this program has none", name);
    libraries = options.libraries;
    handles[i] = libraries->matmul_create(&s.matmul, options.threads ? options.threads : usable_cpus(), message);
    if (!handles[i]) return Status::library;
  }
  return Status::ok;
}

// Checks the caller's pointers and puts them where the steps look for them; in guard mode copies inputs instead.
Status Context::Impl::bind(const Entry& e, uint64_t entry, const void* const* inputs, void* const* outputs,
                           Message* message) {
  const char* name = string_at(package, e.name);
  for (uint32_t i = 0; i < e.input_count; ++i) {
    const Tensor& t = input_of(package, e, i);
    if (t.bytes && (!inputs || !inputs[i]))
      return report(message, Status::invalid, "entry '%s': input '%s' is a null pointer", name,
                    string_at(package, t.name));
  }
  for (uint32_t i = 0; i < e.output_count; ++i) {
    const Tensor& t = output_of(package, e, i);
    if (t.bytes && (!outputs || !outputs[i]))
      return report(message, Status::invalid, "entry '%s': output '%s' is a null pointer", name,
                    string_at(package, t.name));
  }
  for (uint64_t i = first_patch[entry]; i < first_patch[entry + 1]; ++i) {
    const Buffer& b = buffer_at(package, patches[i].buffer);
    if (!guard) {
      const char* base = static_cast<const char*>(b.space == Space::input ? inputs[b.offset] : outputs[b.offset]);
      operands[patches[i].operand] = base ? const_cast<char*>(base) + b.view_offset : nullptr;
      continue;
    }
    if (b.space == Space::input && b.bytes > 0)
      memcpy(layout.buffer(patches[i].buffer), static_cast<const char*>(inputs[b.offset]) + b.view_offset, b.bytes);
  }
  return Status::ok;
}

void Context::Impl::copy_back(const Entry&, uint64_t entry, void* const* outputs) {
  for (uint64_t i = first_patch[entry]; i < first_patch[entry + 1]; ++i) {
    const Buffer& b = buffer_at(package, patches[i].buffer);
    if (b.space == Space::output && b.bytes > 0)
      memcpy(static_cast<char*>(outputs[b.offset]) + b.view_offset, layout.buffer(patches[i].buffer), b.bytes);
  }
}

void Context::Impl::launch(const Step& s, const RunParameters& parameters) {
  const Kernel kernel = functions[s.function];
  void* const* buffers = operands + s.first_operand;
  const auto body = [&](uint64_t begin, uint64_t end, int worker) {
    kernel(buffers, begin, end, layout.scratch(worker), &parameters);
  };
  share(s, s.tiles, body);
}

void Context::Impl::copy(const Step& s) {
  const auto* from = static_cast<const char*>(operands[s.first_operand]);
  auto* to = static_cast<char*>(operands[s.first_operand + 1]);
  const uint64_t bytes = buffer_at(package, table<uint32_t>(package, package->operands)[s.first_operand]).bytes;
  const auto body = [&](uint64_t begin, uint64_t end, int) {
    const uint64_t last = end * copy_tile < bytes ? end * copy_tile : bytes;
    memmove(to + begin * copy_tile, from + begin * copy_tile, last - begin * copy_tile);
  };
  if (from != to) share(s, (bytes + copy_tile - 1) / copy_tile, body);
}

bool Context::Impl::matmul(const Step& s, void* handle) {
  void* const* operand = operands + s.first_operand;
  const void* bias = s.matmul.flags & matmul_bias ? operand[3] : nullptr;
  std::atomic<bool> failed{false};
  const auto body = [&](uint64_t begin, uint64_t end, int worker) {
    for (uint64_t tile = begin; tile < end; ++tile)
      if (!libraries->matmul_run(handle, worker, tile, operand[0], operand[1], operand[2], bias))
        failed.store(true, std::memory_order_relaxed);
  };
  share(s, matmul_tiles(s.matmul), body);
  return !failed.load(std::memory_order_relaxed);
}

Status Context::Impl::loop(uint64_t index, const RunParameters& parameters, Message* message) {
  const Step& s = step_at(package, index);
  const ControlCall& c = s.control;
  ++depth;
  for (uint64_t trip = 0; trip < c.trips; ++trip) {
    const uint64_t i = c.reverse ? c.trips - 1 - trip : trip;
    for (uint64_t m = first_move[index]; m < first_move[index + 1]; ++m)
      operands[moves[m].operand] =
          static_cast<char*>(operands[moves[m].whole]) + moves[m].start + static_cast<int64_t>(i) * moves[m].stride;
    if (c.index != none) {
      const uint32_t operand = s.first_operand + c.index;
      const uint64_t bytes = buffer_at(package, table<uint32_t>(package, package->operands)[operand]).bytes;
      memcpy(operands[operand], &i, bytes);  // little endian: the low half comes first
    }
    const RunParameters inside{parameters.seed, parameters.step, loop_index(parameters.loop, c.bound, i), functions};
    if (c.first) {
      if (const Status status = run_steps(index + 1, c.first, inside, message); status != Status::ok) return status;
      if (!*static_cast<const unsigned char*>(operands[s.first_operand + c.predicate])) break;
    }
    if (const Status status = run_steps(index + 1 + c.first, c.second, inside, message); status != Status::ok)
      return status;
    if (watch && depth == 1) watch->trip(watch->user);
  }
  --depth;
  return Status::ok;
}

Status Context::Impl::run_steps(uint64_t first, uint64_t count, const RunParameters& parameters, Message* message) {
  for (uint64_t i = first; i < first + count; ++i) {
    const Step& s = step_at(package, i);
    const uint64_t begin = step_times ? now_ns() : 0;
    if (const Status status = run_step(i, parameters, message); status != Status::ok) return status;
    if (step_times) step_times[i - first_step] += now_ns() - begin;
    if (s.kind == StepKind::loop || s.kind == StepKind::cond) i += s.control.first + s.control.second;
    if (!guard) continue;
    if (const int64_t at = layout.damaged(); at >= 0)
      return report(message, Status::damaged, "step '%s' wrote below the start of buffer %lld",
                    string_at(package, s.name), static_cast<long long>(at));
  }
  return Status::ok;
}

Status Context::Impl::run_step(uint64_t index, const RunParameters& parameters, Message* message) {
  const Step& s = step_at(package, index);
  switch (s.kind) {
  case StepKind::launch:
    launch(s, parameters);
    return Status::ok;
  case StepKind::copy:
    copy(s);
    return Status::ok;
  case StepKind::matmul:
    if (matmul(s, handles[index])) return Status::ok;
    return report(message, Status::library, "step '%s': the call into %s failed", string_at(package, s.name),
                  libraries->name);
  case StepKind::loop:
    return loop(index, parameters, message);
  case StepKind::cond: {
    const ControlCall& c = s.control;
    const bool taken = *static_cast<const unsigned char*>(operands[s.first_operand + c.predicate]) != 0;
    return taken ? run_steps(index + 1, c.first, parameters, message)
                 : run_steps(index + 1 + c.first, c.second, parameters, message);
  }
  }
  return Status::invalid;
}

Context* Context::create(const Package* package, const Kernel* functions, const Options& options, Message* message) {
  if (validate(package, 0, message) != Status::ok) return nullptr;
  void* memory = malloc(sizeof(Context));
  void* body = aligned_alloc(alignof(Impl), sizeof(Impl));
  if (!memory || !body) {
    free(memory);
    free(body);
    report(message, Status::memory, "out of memory for a context");
    return nullptr;
  }
  auto* context = new (memory) Context;
  context->impl_ = new (body) Impl;
  context->impl_->package = package;
  context->impl_->functions = functions;
  if (context->impl_->set_up(options, message) == Status::ok) return context;
  destroy(context);
  return nullptr;
}

void Context::destroy(Context* context) {
  if (!context) return;
  context->impl_->~Impl();
  free(context->impl_);
  free(context);
}

Status Context::run(uint64_t entry, uint64_t seed, uint64_t step, const void* const* inputs, void* const* outputs,
                    Message* message, uint64_t* step_times, const Watch* watch) {
  Impl& m = *impl_;
  if (entry >= m.package->entry_count)
    return report(message, Status::invalid, "entry %llu of %u does not exist", static_cast<unsigned long long>(entry),
                  m.package->entry_count);
  const Entry& e = entry_at(m.package, entry);
  if (m.null_device) {
    for (uint32_t i = 0; i < e.step_count; ++i) {
      const Step& s = step_at(m.package, e.first_step + i);
      m.records[i] = {string_at(m.package, s.name), s.kind,
                      s.kind == StepKind::matmul ? matmul_tiles(s.matmul) : s.tiles};
    }
    m.record_count = e.step_count;
    return Status::ok;
  }
  if (m.guard) m.layout.poison();
  if (const Status status = m.bind(e, entry, inputs, outputs, message); status != Status::ok) return status;
  if (step_times) memset(step_times, 0, e.step_count * sizeof(uint64_t));
  m.step_times = step_times;
  m.first_step = e.first_step;
  m.watch = watch;
  m.depth = 0;
  if (const Status status = m.run_steps(e.first_step, e.step_count, {seed, step, 0, m.functions}, message);
      status != Status::ok)
    return status;
  if (m.guard) m.copy_back(e, entry, outputs);
  return Status::ok;
}

void* Context::state(uint64_t index) const {
  return index < impl_->package->state_count ? impl_->layout.state(index) : nullptr;
}
const Package* Context::package() const { return impl_->package; }
int Context::threads() const { return impl_->pool.threads(); }
const Record* Context::record() const { return impl_->records; }
uint64_t Context::record_count() const { return impl_->record_count; }

}  // namespace gmc::execute
