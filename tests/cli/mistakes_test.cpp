// Mistakes in the command line and in files: one line that names the thing, and the nearest name where there is one.
#include "runtime/files/npy.h"
#include "tests/cli/cli.h"

#include <cmath>

namespace gmc::test {
namespace {

using testing::HasSubstr;

class Mistakes : public Cli {};

TEST_F(Mistakes, in_names_tell_the_nearest) {
  const std::string png = file("a.png"), out = file("out");
  const struct {
    Words words;
    std::string unknown, nearest;
  } cases[] = {
      {{"smaple"}, "verb 'smaple'", "'sample'"},
      {{"help", "trian"}, "verb 'trian'", "'train'"},
      {{"sample", "vae-mlp", "--seeed", "1"}, "flag '--seeed'", "'--seed'"},
      {{"sample", "vae-mlp", "--weigths=x"}, "flag '--weigths=x'", "'--weights'"},
      {{"sample", "vae-mpl", "-o", png}, "model 'vae-mpl'", "'vae-mlp'"},
      {{"sample", "vae-mlp", "--entry", "smple", "-o", png}, "entry 'smple'", "'sample'"},
      {{"bench", "vae-mlp", "--what", "stp"}, "entry 'stp'", "'step'"},
      {{"run", "vae-mlp", "--entry", "evl"}, "entry 'evl'", "'eval'"},
      {{"compile", "vae-mlp", "--entry", "setp", "-o", out}, "entry 'setp'", "'step'"},
      {{"sample", "vae-mlp", "--policy", "gredy", "-o", png}, "policy 'gredy'", "'greedy'"},
      {{"sample", "vae-mlp", "--size", "bse", "-o", png}, "size 'bse'", "'base'"},
      {{"sample", "vae-mlp", "--set", "bach=4", "-o", png}, "field 'bach'", "'batch'"},
      {{"sample", "vae-mlp", "--march", "x86-64-v9", "-o", png}, "target 'x86-64-v9'", "'x86-64-v"},
      {{"sample", "vae-mlp", "--lib", "onednnn", "-o", png}, "library 'onednnn'", "'onednn'"},
      {{"verify", "vae-mlp", "--case", out, "--backend", "jitt"}, "backend 'jitt'", "'jit'"},
      {{"verify", "vae-mlp", "--case", out, "--device", "cpuu"}, "device 'cpuu'", "'cpu'"},
      {{"compile", "vae-mlp", "--emit", "exee", "-o", out}, "artifact 'exee'", "'exe'"},
      {{"inspect", "vae-mlp", "--stage", "grph"}, "stage 'grph'", "'graph'"},
      {{"list", "modles"}, "list 'modles'", "'models'"},
  };
  for (const auto& c : cases) {
    const std::string line = refused(2, c.words);
    EXPECT_THAT(line, HasSubstr("unknown " + c.unknown));
    EXPECT_THAT(line, HasSubstr("did you mean " + c.nearest));
  }
  EXPECT_FALSE(std::filesystem::exists(png));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Mistakes, in_values_tell_what_is_expected) {
  EXPECT_THAT(refused(2, {}), HasSubstr("(see `gmc --help`)"));
  EXPECT_THAT(refused(2, {"train"}), HasSubstr("model is required"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--set", "z=four"}),
              HasSubstr("field 'z': expected integer, got 'four'"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--set", "z"}), HasSubstr("--set z: expected FIELD=VALUE"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "-n", "x"}), HasSubstr("-n"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "-o", "a.gif"}), HasSubstr("a.gif"));
  EXPECT_THAT(refused(2, {"bench", "vae-mlp", "--threads", "99"}), HasSubstr("99"));
  EXPECT_THAT(refused(2, {"train", "vae-mlp", "--data", "glyphs:300"}), HasSubstr("--steps N or --epochs N"));
  EXPECT_THAT(refused(2, {"train", "vae-mlp", "--data", "glyps", "--steps", "1"}), HasSubstr("glyphs"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "-n", "0"}), HasSubstr("expected a whole number, 1 or more, got 0"));
  EXPECT_THAT(refused(1, {"train", "vae-mlp", "--data", "glyphs:300", "--epochs", "9223372036854775807"}),
              HasSubstr("--epochs overflows"));
  EXPECT_THAT(refused(2, {"inspect", "vae-mlp", "--stage", "kernel", "--json"}), HasSubstr("--stage kernel is text"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--prepare", "bogus", "-o", file("x.png")}), HasSubstr("bogus"));
  EXPECT_THAT(refused(2, {"compile", "vae-mlp", "--embed-weights", "maybe", "-o", file("x")}),
              HasSubstr("expected always or never"));
}

TEST_F(Mistakes, in_numbers_are_not_taken_for_others) {
  const Words train{"train", "vae-mlp", "--data", "glyphs:300", "--out", file("out")};
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--seed", "-1"}),
              HasSubstr("--seed: expected a whole number, 0 or more, got -1"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--seed", "18446744073709551616"}), HasSubstr("is out of range"));
  EXPECT_THAT(refused(2, {"run", "vae-mlp", "--entry", "eval", "--step", "-1"}), HasSubstr("got -1"));
  EXPECT_THAT(refused(2, {"bench", "vae-mlp", "--seconds", "-1"}), HasSubstr("--seconds"));
  EXPECT_THAT(refused(2, train + Words{"--steps", "99999999999999999999"}),
              HasSubstr("99999999999999999999 is out of range"));
  for (const char* every : {"--checkpoint-every", "--sample-every", "--eval-every"})
    EXPECT_THAT(refused(2, train + Words{"--steps", "1", every, "-1"}),
                HasSubstr(std::string(every) + ": expected a whole number, 0 or more, got -1"));
  EXPECT_THAT(refused(1, train + Words{"--steps", "1", "--set", "batch=0"}),
              HasSubstr("input 'x' of entry 'step' is [0, 784], a batch of nothing"));
  EXPECT_FALSE(std::filesystem::exists(file("out")));
}

// A flag that would change nothing is refused.
TEST_F(Mistakes, in_what_goes_together) {
  EXPECT_THAT(refused(2, {"--nope"}), HasSubstr("unknown flag '--nope': expected one of --help"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--prompt", "hi"}),
              HasSubstr("--prompt: 'vae-mlp' has no entry 'continue', which goes on with a text"));
  EXPECT_THAT(refused(2, {"sample", "gan-mlp", "--interpolate", "2", "--data", "glyphs:300"}),
              HasSubstr("--interpolate: 'gan-mlp' has no entry 'encode'"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--interpolate", "2", "--data", "glyphs:300", "-n", "5"}),
              HasSubstr("-n and --interpolate exclude each other"));
  EXPECT_THAT(refused(2, {"sample", "vae-mlp", "--data", "glyphs:300"}), HasSubstr("--data: expected --interpolate"));
  EXPECT_THAT(refused(2, {"compile", "vae-mlp", "--embed-weights", "never", "--weights", "w", "-o", file("x")}),
              HasSubstr("--weights is given to the program when it runs"));
  const auto symbol = gmc({"sample", "ar-seq2seq", "--set", "start=500", "-n", "1"});
  EXPECT_EQ(symbol.status, 1);
  EXPECT_THAT(symbol.output, HasSubstr("error: start=500: expected 0 to 127"));
  const Words train{"train", "vae-mlp", "--data", "glyphs:300", "-q", "--out", file("out")};
  fine(train + Words{"--steps", "3"});
  const std::string before = read(file("out/last.safetensors"));
  EXPECT_THAT(refused(2, train + Words{"--steps", "2", "--resume", file("out/last.safetensors")}),
              HasSubstr("2 steps in all, those before --resume included: '" + file("out/last.safetensors") +
                        "' is at step 3 already"));
  EXPECT_EQ(read(file("out/last.safetensors")), before);
}

TEST_F(Mistakes, in_models_of_others_name_the_model) {
  const std::string model = file("odd.cpp");
  for (const auto& [thrown, message] : {std::pair{"42", "threw what is no std::exception"},
                                        std::pair{"std::runtime_error(\"boo\")", "exception: boo"}}) {
    write(model,
          std::string("#include <gmc/gmc.h>\n#include <stdexcept>\nstruct Config { int64_t n = 1; GMC_FIELDS(n) };\n"
                      "GMC_MODEL(\"odd\", Config, {{\"small\", {}}}) (gmc::Program&, const Config&) { throw ") +
              thrown + "; }\n");
    EXPECT_THAT(refused(1, {"inspect", model}), testing::AllOf(HasSubstr("model 'odd'"), HasSubstr(message)));
  }
}

TEST_F(Mistakes, are_told_when_nothing_can_be_printed) {
  const auto r = package::run_process({"sh", "-c", std::string(program) + " list models >/dev/full"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.output, HasSubstr("gmc: error: cannot write to standard output: "));
}

TEST_F(Mistakes, in_files_name_the_file) {
  const std::string none = file("none");
  EXPECT_THAT(refused(1, {"sample", "vae-mlp", "--weights", none}), HasSubstr("cannot read " + none));
  EXPECT_THAT(refused(1, {"train", "vae-mlp", "--data", "mnist:" + none, "--steps", "1"}), HasSubstr(none));
  EXPECT_THAT(refused(1, {"verify", "vae-mlp", "--case", none}), HasSubstr(none + "/case.json"));
  EXPECT_THAT(refused(1, {"inspect", "vae-mlp", "--fusion-plan", none}), HasSubstr(none));
  EXPECT_THAT(refused(2, {"inspect", file("")}), HasSubstr("is no model: expected a .cpp file"));
  std::filesystem::create_directory(file("folder.cpp"));
  EXPECT_THAT(refused(2, {"inspect", file("folder.cpp")}), HasSubstr("cannot read the model"));
  EXPECT_THAT(refused(2, {"inspect", std::string(300, 'a') + ".onnx"}), HasSubstr("cannot read the model"));
  fine({"compile", "vae-mlp", "--emit", "graph", "-o", file("all.graph")});
  EXPECT_THAT(refused(1, {"inspect", file("all.graph")}), HasSubstr("holds several entries"));
  write(file("odd.graph"), "graph g\n?");
  EXPECT_THAT(refused(1, {"inspect", file("odd.graph")}), HasSubstr("odd.graph': graph text line 2"));
  write(file("plan"), R"({"entries": {}})");
  EXPECT_THAT(refused(1, {"inspect", "vae-mlp", "--fusion-plan", file("plan")}),
              HasSubstr("expected \"fuseplans\": 1"));
  write(file("plan"), "{");
  EXPECT_THAT(refused(1, {"inspect", "vae-mlp", "--fusion-plan", file("plan")}), HasSubstr("is malformed"));
  EXPECT_THAT(refused(1, {"train", "vae-mlp", "--data", "glyphs:300", "--steps", "1", "--out", file("plan")}),
              HasSubstr("cannot make the folder"));
}

TEST_F(Mistakes, in_data_name_the_data) {
  const auto train = [&](const Words& words) { return refused(1, Words{"train"} + words + Words{"--steps", "1"}); };
  EXPECT_THAT(train({"vae-mlp", "--data", "glyphs:100"}),
              HasSubstr("data glyphs: a batch of 128 is larger than the training part, which has 90 samples"));
  EXPECT_THAT(train({"vae-mlp", "--data", "shapes:200"}),
              HasSubstr("samples of [32, 32] (1024 elements) do not fit into a batch of [128, 784]"));
  const Words ddpm{"diffusion-ddpm", "--set", "size=28",           "--set", "c=8", "--set",
                   "batch=2",        "--set", "prepare=range=-1:1"};
  EXPECT_THAT(train(ddpm + Words{"--set", "classes=9", "--data", "glyphs:100"}),
              HasSubstr("data glyphs:100 has labels of 10 classes, diffusion-ddpm takes 9: --set classes=10"));
  HostTensor images(DType::f32, {30, 28, 28});
  files::save_npy(file("images.npy"), images);
  EXPECT_THAT(train(ddpm + Words{"--set", "classes=9", "--data", "npy:" + file("images.npy")}),
              HasSubstr("there are no labels for input 'labels'"));
  images.as<float>()[100] = std::nanf("");
  files::save_npy(file("images.npy"), images);
  EXPECT_THAT(train({"vae-mlp", "--data", "npy:" + file("images.npy")}),
              HasSubstr("images.npy: element 100: expected a finite f32, got nan"));
  files::save_npy(file("images.npy"), HostTensor(DType::f32, {0, 28, 28}));
  EXPECT_THAT(train({"vae-mlp", "--data", "npy:" + file("images.npy")}),
              HasSubstr("expected at least 2 samples, to train and to validate, got 0"));
  write(file("t10k-images-idx3-ubyte"), std::string("\0\0\x08\x03\0\0\0\x09\0\0\0\x1c\0\0\0\x1c", 16) + "cut");
  EXPECT_THAT(train({"vae-mlp", "--data", "mnist:" + file("")}),
              HasSubstr("byte 16, data: expected 7056 bytes for [9, 28, 28], got 3"));
}

TEST_F(Mistakes, in_files_do_not_command_the_terminal) {
  write(file("a.graph"), R"(graph eval
%0 = input {dtype="f32", name="x", role="data", shape=[2]} : f32[2] "\u001b[2J"
%1 = neg %0 : f32[2] "\u001b[2J"
)");
  EXPECT_THAT(refused(1, {"inspect", file("a.graph")}), HasSubstr("the name '?[2J' is used twice"));
}

TEST_F(Mistakes, in_weights_say_where_and_what) {
  const std::string good = file("out/last.safetensors"), bad = file("bad.safetensors");
  fine(Words{"train", "vae-mlp", "--data", "glyphs:300", "--steps", "2", "--quiet", "--out", file("out")} + small);
  const std::string bytes = read(good);
  ASSERT_GT(bytes.size(), 4000u);
  const auto sample = [&](const std::string& weights) {
    return Words{"sample", "vae-mlp", "--weights", weights, "-o", file("a.png")} + small;
  };
  fine(sample(good));
  for (const size_t length : {size_t{0}, size_t{7}, size_t{500}, bytes.size() - 1}) {
    write(bad, bytes.substr(0, length));
    EXPECT_THAT(refused(1, sample(bad)), testing::AllOf(HasSubstr(bad), HasSubstr("byte"), HasSubstr("expected")));
  }
  std::string corrupt = bytes;
  corrupt[7] = '\x7f';  // the size of the header
  write(bad, corrupt);
  EXPECT_THAT(refused(1, sample(bad)), HasSubstr("byte 0"));
  corrupt = bytes;
  corrupt[8] = 'x';
  write(bad, corrupt);
  EXPECT_THAT(refused(1, sample(bad)), HasSubstr(bad));
  const auto others = gmc({"sample", "vae-mlp", "--weights", good, "-o", file("b.png")});
  EXPECT_EQ(others.status, 1);
  EXPECT_THAT(others.output, HasSubstr("'fc1.weight': expected f32[400,784], got f32[24,784]"));
  EXPECT_THAT(others.output, HasSubstr("'mu.bias': expected f32[20], got f32[3]"));
  const auto compiled = gmc({"compile", "vae-mlp", "--weights", good, "-o", file("exe")});
  EXPECT_EQ(compiled.status, 1);
  EXPECT_THAT(compiled.output, HasSubstr("'fc1.weight': expected"));
  EXPECT_FALSE(std::filesystem::exists(file("exe")));
  TensorMap foreign = files::load_safetensors(good);
  foreign["decoder.weight"] = foreign.at("fc1.bias");
  foreign.erase("fc1.bias");
  files::save_safetensors(bad, foreign);
  const auto named = gmc(sample(bad));
  EXPECT_EQ(named.status, 1);
  EXPECT_THAT(named.output, HasSubstr("'decoder.weight' is no state of this program"));
  EXPECT_THAT(named.output, HasSubstr("'fc1.bias' is missing"));
}

}  // namespace
}  // namespace gmc::test
