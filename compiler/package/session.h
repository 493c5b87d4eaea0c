// A compiled program in this process: JIT-loaded code, its memory, its threads.
#pragma once

#include "compiler/package/compile.h"
#include "runtime/base/tensor.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gmc::package {

struct SessionOptions {
  int threads = 0;     // 0: as many as there are CPUs
  bool guard = false;  // every buffer between pages that trap, unwritten memory is NaN
};

class Session {
public:
  // Links the objects and makes memory. `Compiled` is not needed afterwards.
  Session(const Compiled&, const SessionOptions&);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Runs an entry. Every input must be there, with its dtype and shape; returns the outputs by name.
  TensorMap run(const std::string& entry, const TensorMap& inputs, uint64_t seed = 0, uint64_t step = 0);

  // The same without copies, for loops: arrays in the order of the entry's inputs and outputs.
  int entry_index(const std::string& entry) const;
  void run(int entry, const std::vector<const void*>& inputs, const std::vector<void*>& outputs, uint64_t seed,
           uint64_t step);
  // And calls `after_trip` on this thread after every trip of a loop that stands in no other one: what the loop stacks
  // may be in the outputs up to there already, or come with the last trip, as the plan has it.
  void run(int entry, const std::vector<const void*>& inputs, const std::vector<void*>& outputs, uint64_t seed,
           uint64_t step, const std::function<void()>& after_trip);
  struct Slot {
    std::string name;
    graph::TensorType type;
  };
  std::vector<Slot> inputs(int entry) const;
  std::vector<Slot> outputs(int entry) const;

  // Names of the steps of an entry and what each took in the last profiled run, in ms: means over `calls`.
  std::vector<std::pair<std::string, double>> profile(int entry, const std::vector<const void*>& inputs,
                                                      const std::vector<void*>& outputs, int calls);

  // All state by name, or the parameters only.
  TensorMap state(bool parameters_only = false) const;
  // Sets states; throws `Error` that lists what is unknown, and what differs in dtype or shape. `strict`: every
  // parameter must be given.
  void set_state(const TensorMap&, bool strict);
  void* state_data(const std::string& name) const;

  int64_t arena_bytes() const;
  int64_t state_bytes() const;
  uint64_t plan_hash() const;
  int threads() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gmc::package
