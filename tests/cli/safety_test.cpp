// Generated code under suspicion: memory protection, guard pages, a kernel that computes something else.
#include "compiler/codegen/compile_kernels.h"
#include "compiler/graph/interpret.h"
#include "compiler/package/program_source.h"
#include "compiler/package/session.h"
#include "models/load.h"
#include "tests/cli/cli.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

namespace gmc::test {
namespace {

using testing::HasSubstr;

package::Options options_of(const std::string& policy) {
  package::Options options;
  options.target = codegen::host_target();
  options.policy = policy;
  return options;
}

class TinyVae : public testing::Test {
protected:
  TinyVae() {
    load_model("vae-mlp").build(program_, "tiny", {{"batch", "5"}, {"x", "30"}, {"h", "17"}, {"z", "3"}});
    state_ = package::initial_state(program_, 1);
    HostTensor x(DType::f32, {5, 30});
    for (int64_t i = 0; i < x.count(); ++i) x.as<float>()[i] = static_cast<float>(i * 29 % 31) / 31;
    batch_["x"] = x;
  }
  package::Compiled compile(const std::string& policy) const {
    return package::compile(package::source_of(program_, "vae-mlp", {"step"}), options_of(policy));
  }
  // All that a training step computes: its outputs and the state after it.
  TensorMap step(const package::Compiled& compiled) const {
    package::Session session(compiled, {2, true});
    session.set_state(state_, true);
    TensorMap out = session.run("step", batch_, 3, 0);
    out.merge(session.state());
    return out;
  }
  TensorMap reference() const {
    std::map<std::string, graph::Reference> values;
    for (const TensorMap& from : {state_, batch_})
      for (const auto& [name, t] : from)
        values[name] = {t.shape, std::vector<double>(t.as<float>(), t.as<float>() + t.count())};
    const auto result = graph::interpret(*program_.entry_named("step").graph, values, 3, 0);
    TensorMap out;
    for (const auto* results : {&result.outputs, &result.updates})
      for (const auto& [name, value] : *results) {
        HostTensor t(DType::f32, value.shape);
        for (size_t i = 0; i < value.values.size(); ++i) t.as<float>()[i] = static_cast<float>(value.values[i]);
        out[name] = t;
      }
    return out;
  }

  Program program_;
  TensorMap state_, batch_;
};

// The largest difference of any tensor, relative to the largest value of that tensor; infinity for a NaN.
double difference(const TensorMap& expected, const TensorMap& got) {
  double worst = 0;
  for (const auto& [name, want] : expected) {
    double apart = 0, scale = 1e-12;
    for (int64_t i = 0; i < want.count(); ++i) {
      const double a = want.as<float>()[i], b = got.at(name).as<float>()[i];
      if (!std::isfinite(b)) return INFINITY;
      apart = std::max(apart, std::fabs(a - b));
      scale = std::max(scale, std::fabs(a));
    }
    worst = std::max(worst, apart / scale);
  }
  return worst;
}

// The kernel with its first `from` turned into `to`; the same text if there is none.
std::string corrupted(const std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(" = " + from + " %");
  return at == std::string::npos ? text : std::string(text).replace(at + 3, from.size(), to);
}

// All functions that running a kernel takes, in an order that depends on its structure only.
std::vector<std::string> functions_of(const codegen::KernelCode& code) {
  std::vector<std::string> out;
  for (const codegen::TileFunction& f : code.functions) {
    out.push_back(f.symbol);
    for (const codegen::Argument& a : f.arguments)
      for (const auto& [at, symbol] : a.functions) out.push_back(symbol);
  }
  return out;
}

TEST_F(TinyVae, a_corrupted_kernel_is_noticed) {
  for (const char* policy : {"none", "greedy"}) {
    const TensorMap expected = reference();
    const package::Compiled good = compile(policy);
    EXPECT_LT(difference(expected, step(good)), 1e-3) << policy;
    std::vector<const kernel::Kernel*> kernels;
    for (const auto& k : good.entries.at(0).kernels) kernels.push_back(&k.kernel);
    std::set<std::string> there;  // functions of the good program
    codegen::plan_code(kernels, good.target, there);
    int changed = 0;
    std::set<std::vector<std::string>> seen;
    for (const auto& [kernel, code] : good.entries.at(0).kernels) {
      const std::string text = kernel::print(kernel);
      std::string bad = text;
      for (const auto& [from, to] : {std::pair<const char*, const char*>{"mul", "sub"}, {"div", "mul"}, {"add", "mul"}})
        if (bad == text) bad = corrupted(text, from, to);
      const std::vector<std::string> before = functions_of(code);
      if (bad == text || !seen.insert(before).second) continue;
      const kernel::Kernel wrong = kernel::parse(bad);
      std::set<std::string> known = there;
      const codegen::CodePlan plan = codegen::plan_code({&wrong}, good.target, known);
      const std::vector<std::string> after = functions_of(plan.kernels[0]);
      ASSERT_EQ(before.size(), after.size());
      package::Compiled broken = good;
      for (const auto& leaves : plan.objects)
        broken.objects.push_back(codegen::compile_object(leaves, good.target, false));
      for (size_t f = 0; f < before.size(); ++f)
        if (before[f] != after[f]) std::replace(broken.functions.begin(), broken.functions.end(), before[f], after[f]);
      EXPECT_GT(difference(expected, step(broken)), 1e-3) << policy << "\n" << bad;
      ++changed;
    }
    EXPECT_GE(changed, 5) << policy;
  }
}

// Entries are lowered and code is generated on several threads: nothing of it shows.
TEST_F(TinyVae, threads_that_compile_change_no_byte) {
  const package::Source source = package::source_of(program_, "vae-mlp");
  ASSERT_GT(source.entries.size(), 1u);
  const auto compiled = [&](int jobs) {
    package::Options options = options_of("greedy");
    options.jobs = jobs;
    return package::compile(source, options);
  };
  const package::Compiled one = compiled(1);
  for (int jobs : {2, 5}) {
    const package::Compiled several = compiled(jobs);
    EXPECT_TRUE(one.package == several.package) << jobs;
    EXPECT_EQ(one.functions, several.functions);
    ASSERT_EQ(one.objects.size(), several.objects.size());
    for (size_t i = 0; i < one.objects.size(); ++i) {
      EXPECT_EQ(one.objects[i].name, several.objects[i].name);
      EXPECT_TRUE(one.objects[i].bytes == several.objects[i].bytes) << i;
    }
  }
}

TEST_F(TinyVae, no_mapping_is_writable_and_executable) {
  package::Session session(compile("greedy"), {2, false});
  session.set_state(state_, true);
  session.run("step", batch_);
  std::istringstream maps(read("/proc/self/maps"));
  int executable = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::string mode = line.substr(line.find(' ') + 1, 4);
    EXPECT_FALSE(mode[1] == 'w' && mode[2] == 'x') << line;
    executable += mode[2] == 'x';
  }
  EXPECT_GT(executable, 3);
}

class Guard : public Cli {};

TEST_F(Guard, pages_around_every_buffer_stay_untouched) {
  for (const char* policy : {"none", "greedy"}) {
    const Words words =
        Words{"train", "vae-mlp", "--data", "glyphs:300", "--steps", "3", "--quiet", "--policy", policy} + small;
    Words guarded{"env", "GMC_TEST_ALLOC=guard", program};
    const auto r = package::run_process(guarded + words + Words{"--out", file("guarded")});
    EXPECT_EQ(r.status, 0) << r.output;
    fine(words + Words{"--out", file("plain")});
    EXPECT_TRUE(read(file("guarded/last.safetensors")) == read(file("plain/last.safetensors"))) << policy;
  }
}

}  // namespace
}  // namespace gmc::test
