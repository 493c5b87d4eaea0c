// gmc import and gmc verify --onnx from outside, on models of libonnx-testdata.
#include "tests/cli/cli.h"

#include "runtime/files/npy.h"

namespace gmc::test {
namespace {

using testing::HasSubstr;

constexpr const char* data = "/usr/share/libonnx-testdata/data";
const std::string linear = std::string(data) + "/pytorch-converted/test_Linear/model.onnx";

class Import : public Cli {
protected:
  std::string batch() const {
    HostTensor x(f32, {4, 10});
    for (int64_t i = 0; i < x.count(); ++i) x.as<float>()[i] = static_cast<float>(i % 7) - 3;
    files::save_npy(file("x.npy"), x);
    return file("x.npy");
  }
  // A copy of a test whose expected output is changed in its last byte.
  std::string damaged_test() const {
    std::filesystem::create_directories(file("tests"));
    std::filesystem::copy(std::string(data) + "/node/test_relu", file("tests/test_relu"),
                          std::filesystem::copy_options::recursive);
    std::string bytes = read(file("tests/test_relu/test_data_set_0/output_0.pb"));
    bytes.back() = static_cast<char>(bytes.back() ^ 0x41);
    write(file("tests/test_relu/test_data_set_0/output_0.pb"), bytes);
    return file("tests");
  }
};

TEST_F(Import, SaysWhatAModelHolds) {
  const std::string text = fine({"import", linear});
  EXPECT_THAT(text, HasSubstr("entry eval"));
  EXPECT_THAT(text, HasSubstr("2 weights of 352 bytes"));
  EXPECT_THAT(text, HasSubstr("  input 0 : f32[4,10]\n"));
  EXPECT_THAT(text, HasSubstr("  output 3 : f32[4,8]\n"));
}

TEST_F(Import, TheGraphItWritesComputesTheSame) {
  fine({"import", linear, "-o", file("net.graph")});
  EXPECT_TRUE(std::filesystem::exists(file("net.safetensors")));
  for (const std::string& model : {linear, file("net.graph")})
    fine({"run", model, "--input", "0=" + batch(), "--output", "3=" + file(model == linear ? "a.npy" : "b.npy")});
  EXPECT_EQ(read(file("a.npy")), read(file("b.npy")));
}

TEST_F(Import, EveryVerbTakesAModel) {
  EXPECT_THAT(fine({"inspect", linear}), HasSubstr("eval under policy greedy"));
  EXPECT_THAT(fine({"inspect", linear, "--stage", "state"}), HasSubstr("f32[8, 10]"));
  fine({"compile", linear, "-o", file("net")});
  shell("./net eval --input 0=" + batch() + " --output 3=c.npy");
  fine({"run", linear, "--input", "0=" + batch(), "--output", "3=" + file("a.npy")});
  EXPECT_EQ(read(file("a.npy")), read(file("c.npy")));
}

TEST_F(Import, RefusesWhatIsNoModel) {
  EXPECT_THAT(refused(2, {"import", file("none.onnx")}), HasSubstr("cannot read the model"));
  EXPECT_THAT(refused(2, {"import", "vae-mlp"}), HasSubstr("'vae-mlp' is no .onnx file"));
  write(file("cut.onnx"), read(linear).substr(0, 100));
  EXPECT_THAT(refused(1, {"import", file("cut.onnx")}), HasSubstr("cut.onnx': byte "));
  EXPECT_THAT(refused(2, {"import", linear, "-o", file("net.txt")}), HasSubstr("expected a name that ends in .graph"));
  EXPECT_THAT(refused(2, {"import", linear, "--bind", "y=" + batch()}), HasSubstr("the model has no such input"));
  EXPECT_THAT(refused(2, {"import", linear, "--set", "zzz=4"}), HasSubstr("--set zzz=4: the model has no such extent"));
}

TEST_F(Import, VerifyCountsAndFails) {
  const std::string text = fine({"verify", "--onnx", std::string(data) + "/node/test_relu"});
  EXPECT_EQ(text, "1 passed, 0 failed, 0 skipped\n");
  const package::ProcessResult bad = gmc({"verify", "--onnx", damaged_test()});
  EXPECT_EQ(bad.status, 3);
  EXPECT_THAT(bad.output, HasSubstr("FAILED test_relu: output 'y': 1 of 60 elements differ"));
  EXPECT_THAT(bad.output, HasSubstr("0 passed, 1 failed, 0 skipped\n"));
  EXPECT_THAT(refused(1, {"verify", "--onnx", file("nothing")}), HasSubstr("cannot read the folder"));
  EXPECT_THAT(refused(2, {"verify"}), HasSubstr("expected MODEL --case DIR, or --onnx DIR"));
}

}  // namespace
}  // namespace gmc::test
