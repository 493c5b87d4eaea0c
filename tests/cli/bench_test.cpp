// What is timed is what trains.
#include "runtime/execute/random.h"
#include "runtime/files/npy.h"
#include "tests/cli/cli.h"

namespace gmc::test {
namespace {

class Timed : public Cli {};

// `gmc bench` steps on one batch; a data set of equal samples is that batch in every step. After the same number of
// steps the weights are the same bits: what is timed is what trains.
TEST_F(Timed, steps_train) {
  constexpr int64_t size = 60;
  HostTensor rows(DType::f32, {20, size});
  for (int64_t i = 0; i < rows.count(); ++i)  // input 0 of `gmc bench`
    rows.as<float>()[i] =
        static_cast<float>(execute::uniform_of(execute::random_word(0, static_cast<uint64_t>(i % size))));
  files::save_npy(file("rows.npy"), rows);
  for (const char* model : {"vae-mlp", "flow-realnvp", "gan-mlp"}) {
    const Words words = Words{model, "--seed", "3"} + Words{"--set", "batch=1", "--set", "x=60", "--set", "h=40"} +
                        Words{"--threads", "2"};
    fine(Words{"bench"} + words + Words{"--what", "step", "--seconds", "0", "--save", file("timed")});
    files::Metadata metadata;
    const TensorMap timed = files::load_safetensors(file("timed"), &metadata);
    ASSERT_GT(std::stoll(metadata.at("calls")), 5);
    fine(Words{"train"} + words +
         Words{"--data", "npy:" + file("rows.npy"), "--prepare", "", "--steps", metadata.at("calls"), "-q",
               "--no-events", "--checkpoint-every", "0", "--out", file("out")});
    const TensorMap trained = files::load_safetensors(file("out/last.safetensors"));
    ASSERT_EQ(timed.size(), trained.size());
    for (const auto& [name, tensor] : timed)
      EXPECT_TRUE(tensor.bytes == trained.at(name).bytes) << model << " " << name;
  }
  EXPECT_THAT(refused(2, {"bench", "vae-mlp", "--save", file("x")}), testing::HasSubstr("--save: expected one entry"));
}

}  // namespace
}  // namespace gmc::test
