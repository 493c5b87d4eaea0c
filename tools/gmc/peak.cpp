#include "tools/gmc/peak.h"

#include "compiler/codegen/peak.h"
#include "compiler/package/jit.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

namespace gmc::tool {

double measure_fma_peak(const codegen::Target& target, int threads) {
  const codegen::PeakCode code = codegen::emit_fma_peak(target);
  package::Jit jit;
  jit.add(code.object, "peak");
  const auto run = reinterpret_cast<void (*)(float*, int64_t)>(jit.lookup("gmc_fma_peak"));
  constexpr int64_t turns = 200000;
  auto work = [&] {
    float values[16] = {};
    run(values, turns);
  };
  double best = 0;
  for (int i = 0; i < 9; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work);
    work();
    for (std::thread& t : others) t.join();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, code.flops_per_turn * static_cast<double>(turns) * threads / seconds / 1e9);
  }
  return best;
}

}  // namespace gmc::tool
