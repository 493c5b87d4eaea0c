// What `gmc compile` writes, used the way its readers use it.
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "tests/cli/cli.h"

#include <cstring>
#include <sstream>

namespace gmc::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* strict = "-std=c99 -Wall -Wextra -pedantic -Werror ";

class Artifacts : public Cli {
protected:
  void train() const {
    fine(Words{"train", "vae-mlp", "--data", "glyphs:300", "--steps", "10", "--quiet", "--out", file("out")} + small);
  }
  void compile(const std::string& name, const Words& more) const {
    fine(Words{"compile", "vae-mlp", "-o", file(name)} + small + more);
  }
};

TEST_F(Artifacts, executable_samples_as_the_command_does) {
  train();
  const std::string weights = file("out/last.safetensors");
  compile("vae", {"--weights", weights});
  const std::string help = shell("./vae --help");
  for (const char* entry : {"step", "eval", "sample"}) EXPECT_THAT(help, HasSubstr(entry));
  shell("./vae sample -n 10 --seed 1 -o grid.png && ./vae sample -n 100 --seed 1 -o exe.npy");
  EXPECT_EQ(files::load_png(file("grid.png")).shape.size(), 3u);
  fine(Words{"sample", "vae-mlp", "--weights", weights, "-n", "100", "--seed", "1", "-o", file("gmc.npy")} + small);
  EXPECT_TRUE(read(file("exe.npy")) == read(file("gmc.npy")));
  EXPECT_EQ(files::load_npy(file("exe.npy")).shape, (Shape{100, 784}));
  EXPECT_THAT(package::run_process({file("vae"), "smaple"}).output, HasSubstr("did you mean 'sample'"));
}

TEST_F(Artifacts, executable_stands_alone_and_is_hardened) {
  compile("vae", {});
  const std::string headers = shell("readelf -hW vae"), segments = shell("readelf -lW vae"),
                    dynamic = shell("readelf -dW vae");
  EXPECT_THAT(headers, HasSubstr("DYN"));
  EXPECT_THAT(dynamic, HasSubstr("PIE"));
  EXPECT_THAT(dynamic, Not(HasSubstr("NEEDED")));
  EXPECT_THAT(segments, Not(HasSubstr("INTERP")));
  EXPECT_THAT(segments, HasSubstr("GNU_RELRO"));
  EXPECT_THAT(segments, Not(HasSubstr("RWE")));
  EXPECT_THAT(segments, testing::ContainsRegex("GNU_STACK.* RW "));
}

TEST_F(Artifacts, weights_may_be_given_when_it_runs) {
  train();
  const std::string weights = file("out/last.safetensors");
  compile("bare", {"--entry", "sample", "--embed-weights", "never"});
  compile("full", {"--entry", "sample", "--weights", weights});
  const auto without = package::run_process({file("bare"), "sample", "-n", "2", "-o", file("x.npy")});
  EXPECT_EQ(without.status, 2);
  EXPECT_THAT(without.output, HasSubstr("give --weights FILE"));
  shell("./bare sample --weights out/last.safetensors -n 20 --seed 5 -o bare.npy");
  shell("./full sample -n 20 --seed 5 -o full.npy");
  EXPECT_TRUE(read(file("bare.npy")) == read(file("full.npy")));
  EXPECT_LT(std::filesystem::file_size(file("bare")), std::filesystem::file_size(file("full")));
}

TEST_F(Artifacts, for_older_machines_agree_with_the_native_code) {
  fine(Words{"sample", "vae-mlp", "-n", "64", "--seed", "2", "-o", file("native.npy")} + small);
  const HostTensor native = files::load_npy(file("native.npy"));
  for (const std::string march : {"x86-64", "x86-64-v3"}) {
    compile(march, {"--entry", "sample", "--march", march, "--seed", "2"});
    shell("./" + march + " sample -n 64 --seed 2 -o " + march + ".npy");
    const HostTensor got = files::load_npy(file(march + ".npy"));
    ASSERT_EQ(got.shape, native.shape);
    for (int64_t i = 0; i < got.count(); ++i) ASSERT_NEAR(got.as<float>()[i], native.as<float>()[i], 1e-5) << march;
  }
}

TEST_F(Artifacts, of_every_other_kind_are_written) {
  compile("m", {"--emit", "obj,header,package,graph,plan,kernel,llvm-ir,asm"});
  EXPECT_THAT(shell("nm m.o"), HasSubstr("vae_mlp_package"));
  EXPECT_THAT(read(file("m.h")), HasSubstr("vae_mlp_sample("));
  EXPECT_GT(read(file("m.gmx")).size(), 1000u);
  EXPECT_EQ(read(file("m.graph")).rfind("graph step\n", 0), 0u);
  EXPECT_EQ(nlohmann::json::parse(read(file("m.plan.json"))).at("entries").size(), 7u);
  EXPECT_THAT(read(file("m.kernel")), HasSubstr("\nkernel k0."));
  EXPECT_THAT(read(file("m.ll")), HasSubstr("define "));
  EXPECT_THAT(read(file("m.s")), HasSubstr("vmovups"));
}

TEST_F(Artifacts, object_links_with_the_runtime_archive) {
  compile("m", {"--entry", "sample", "--emit", "obj,header"});
  write(file("user.c"), R"(#include "m.h"
int main(void) {
  static float samples[64 * 784];
  vae_mlp *m = vae_mlp_open(1, NULL, 0);
  return !m || vae_mlp_sample(m, 1, 0, samples) || !(samples[0] > 0 && samples[0] < 1);
}
)");
  shell(std::string("gcc ") + strict +
        "user.c m.o " GMC_BINARY_DIR "/lib/libgmc_execute.a " GMC_BINARY_DIR
        "/lib/libgmc_routines.a -lpthread -lm -o user && ./user");
  // Kernels are an object's own.
  EXPECT_EQ(shell("nm m.o | grep -c ' T gmc_' || true"), "0\n");
}

TEST_F(Artifacts, static_library_samples_and_trains_in_c) {
  compile("vae", {"--emit", "static-lib,header"});
  write(file("sample.c"), R"(#include "vae.h"
#include <stdio.h>
int main(void) {
  static float samples[64 * 784];
  char error[200];
  vae_mlp *m = vae_mlp_open(2, error, sizeof error);
  if (!m || vae_mlp_sample(m, 1, 0, samples)) return puts(m ? vae_mlp_error(m) : error), 1;
  vae_mlp_close(m);
  return fwrite(samples, sizeof samples, 1, stdout) != 1;
}
)");
  write(file("step.c"), R"(#include "vae.h"
#include <stdio.h>
int main(void) {
  static float x[16 * 784];
  float loss = 0, first = 0;
  vae_mlp *m = vae_mlp_open(2, NULL, 0);
  for (int i = 0; i < 16 * 784; ++i) x[i] = i % 7 == 0;
  for (uint64_t step = 0; m && step < 20; ++step) {
    if (vae_mlp_step(m, 0, step, x, &loss)) return puts(vae_mlp_error(m)), 1;
    if (step == 0) first = loss;
  }
  printf("%g %g\n", first, loss);
  return !(loss < 0.95f * first) || vae_mlp_save(m, "after.safetensors");
}
)");
  const std::string link = " vae.a -lpthread -lm -o ";
  shell(std::string("gcc ") + strict + "sample.c" + link + "c_sample && ./c_sample > c.bin");
  shell(std::string("gcc ") + strict + "step.c" + link + "c_step && ./c_step");
  EXPECT_GT(files::load_safetensors(file("after.safetensors")).size(), 10u);
  // The library holds the initial weights of seed 0, and so does the executable.
  compile("exe", {"--entry", "sample"});
  shell("./exe sample -n 64 --seed 1 -o exe.npy");
  const HostTensor expected = files::load_npy(file("exe.npy"));
  const std::string got = read(file("c.bin"));
  ASSERT_EQ(got.size(), expected.bytes.size());
  EXPECT_EQ(std::memcmp(got.data(), expected.bytes.data(), got.size()), 0);
}

// Each brings a runtime of its own, hidden from the other.
TEST_F(Artifacts, two_static_libraries_live_in_one_program) {
  std::string model = read(GMC_SOURCE_DIR "/models/vae/vae-mlp.cpp");
  model.replace(model.find("\"vae-mlp\""), 9, "\"other\"");
  write(file("other.cpp"), model);
  compile("vae", {"--entry", "sample", "--emit", "static-lib,header"});
  fine({"compile", file("other.cpp"), "--entry", "sample", "--emit", "static-lib,header", "-o", file("other"), "--set",
        "h=16"});
  write(file("user.c"), R"(#include "other.h"
#include "vae.h"
int main(void) {
  static float a[64 * 784], b[64 * 784];
  vae_mlp *m = vae_mlp_open(2, NULL, 0);
  other *o = other_open(2, NULL, 0);
  if (!m || !o || vae_mlp_sample(m, 1, 0, a) || other_sample(o, 1, 0, b)) return 1;
  other_close(o);
  vae_mlp_close(m);
  return a[0] == b[0];
}
)");
  shell(std::string("gcc ") + strict + "user.c vae.a other.a -lpthread -lm -o user && ./user");
  std::istringstream symbols(shell("nm -g --defined-only vae.a"));
  int count = 0;
  for (std::string line; std::getline(symbols, line);) {
    if (line.size() < 20) continue;
    EXPECT_EQ(line.compare(19, 8, "vae_mlp_"), 0) << line;
    ++count;
  }
  EXPECT_EQ(count, 5);
}

}  // namespace
}  // namespace gmc::test
