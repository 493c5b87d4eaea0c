#include "tools/gmc/verify_onnx.h"

#include "tools/onnx/backend.h"

namespace gmc::tool {

bool verify_onnx(const OnnxTests& tests, const CompileOptions& compile, const RunOptions& run) {
  check_choice("backend", tests.backend, {"interp", "jit"});
  const package::Options options = compile_options(compile);
  const package::SessionOptions session = session_options(run);
  const onnx::Run backend = [&](const onnx::Imported& m, const TensorMap& inputs) {
    return tests.backend == "jit" ? onnx::run_compiled(m, inputs, options, session) : onnx::run_interpreted(m, inputs);
  };
  const auto names = onnx::find_tests(tests.root);
  if (names.empty()) fail("'{}' holds no folder with a model.onnx", tests.root);
  int passed = 0, failed = 0, skipped = 0;
  double worst = 0;
  for (const std::string& name : names) {
    const onnx::Verdict v = onnx::judge(tests.root + "/" + name, backend);
    using Kind = onnx::Verdict::Kind;
    ++(v.kind == Kind::passed ? passed : v.kind == Kind::failed ? failed : skipped);
    worst = std::max(worst, v.worst);
    if (v.kind != Kind::passed)
      fmt::print("{} {}: {}\n", v.kind == Kind::failed ? "FAILED" : "skipped", name, v.reason);
    else if (tests.verbose)
      fmt::print("passed {}: {:.2g} of the tolerance\n", name, v.worst);
    std::fflush(stdout);
  }
  fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  return failed == 0;
}

}  // namespace gmc::tool
