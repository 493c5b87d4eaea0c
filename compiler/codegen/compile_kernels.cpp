#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/cpu/emit.h"
#include "runtime/execute/random.h"

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

namespace gmc::codegen {

int prepare(kernel::Kernel& kernel, const Target& target) { return prepare_products(kernel, target); }

std::string symbol_of(const kernel::Kernel& kernel) {
  kernel::Kernel plain = kernel;
  plain.name = "k";
  for (kernel::Parameter& p : plain.parameters) p.name = "p";
  const std::string text = kernel::print(plain);
  // Names are part of artifacts, which are the same whatever standard library gmc was built with.
  return fmt::format("gmc_{:016x}{:08x}", execute::stream_of(text.c_str()),
                     execute::stream_of(("again " + text).c_str()) & 0xffffffffu);
}

namespace {

KernelCode compile_one(const KernelSource& source, const Target& target, llvm::TargetMachine& machine, bool keep_text) {
  llvm::LLVMContext context;
  auto module = make_module(context, source.symbol, machine);
  const Emitted emitted = emit_kernel(*module, *source.kernel, source.symbol, target);
  optimise(*module, machine);
  KernelCode code;
  for (const EmittedPhase& phase : emitted.phases) code.phases.push_back({phase.symbol, phase.tiles});
  code.scratch_bytes = emitted.scratch_bytes;
  if (keep_text) {
    code.llvm_ir = print_module(*module);
    auto again = llvm::CloneModule(*module);
    code.assembly = emit_assembly(*again, machine);
  }
  code.object = emit_object(*module, machine);
  return code;
}

}  // namespace

std::map<std::string, KernelCode> compile_kernels(const std::vector<KernelSource>& kernels, const Target& target,
                                                  int jobs, bool keep_text) {
  std::map<std::string, KernelCode> out;
  std::vector<const KernelSource*> work;
  for (const KernelSource& k : kernels)
    if (out.try_emplace(k.symbol).second) work.push_back(&k);
  // Each thread has an LLVM context and target machine of its own; the map's entries exist already, so no lock is
  // needed.
  std::atomic<size_t> next{0};
  const size_t threads = std::min(
      work.size(),
      static_cast<size_t>(jobs > 0 ? jobs : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))));
  std::vector<std::exception_ptr> problems(threads);
  auto run = [&](size_t worker) {
    try {
      const auto machine = make_target_machine(target);
      for (size_t i = next++; i < work.size(); i = next++)
        out.at(work[i]->symbol) = compile_one(*work[i], target, *machine, keep_text);
    } catch (...) {
      problems[worker] = std::current_exception();
    }
  };
  std::vector<std::thread> pool;
  try {
    for (size_t t = 1; t < threads; ++t) pool.emplace_back(run, t);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are share the work.
  }
  if (threads > 0) run(0);
  for (std::thread& t : pool) t.join();
  for (const std::exception_ptr& problem : problems)
    if (problem) std::rethrow_exception(problem);
  return out;
}

}  // namespace gmc::codegen
