// What is timed is what trains.
#include "runtime/execute/random.h"
#include "runtime/files/npy.h"
#include "tests/cli/cli.h"

namespace gmc::test {
namespace {

class Timed : public Cli {
protected:
  void expect_steps_train(const Words& model, const Shape& sample) const;
};

// `gmc bench` steps on one batch; a data set of equal samples is that batch in every step. After the same number of
// steps the weights are the same bits: what is timed is what trains.
void Timed::expect_steps_train(const Words& model, const Shape& sample) const {
  Shape shape = sample;
  shape.insert(shape.begin(), 20);
  HostTensor rows(DType::f32, shape);
  for (int64_t i = 0; i < rows.count(); ++i)  // input 0 of `gmc bench`
    rows.as<float>()[i] = static_cast<float>(
        execute::uniform_of(execute::random_word(0, static_cast<uint64_t>(i % element_count(sample)))));
  files::save_npy(file("rows.npy"), rows);
  const Words words = model + Words{"--seed", "3", "--set", "batch=1", "--threads", "2"};
  fine(Words{"bench"} + words + Words{"--what", "step", "--seconds", "0", "--save", file("timed")});
  files::Metadata metadata;
  const TensorMap timed = files::load_safetensors(file("timed"), &metadata);
  ASSERT_GT(std::stoll(metadata.at("calls")), 5);
  fine(Words{"train"} + words +
       Words{"--data", "npy:" + file("rows.npy"), "--prepare", "", "--steps", metadata.at("calls"), "-q", "--no-events",
             "--checkpoint-every", "0", "--out", file("out")});
  const TensorMap trained = files::load_safetensors(file("out/last.safetensors"));
  ASSERT_EQ(timed.size(), trained.size());
  for (const auto& [name, tensor] : timed)
    EXPECT_TRUE(tensor.bytes == trained.at(name).bytes) << model[0] << " " << name;
}

TEST_F(Timed, steps_of_vectors_train) {
  for (const char* model : {"vae-mlp", "flow-realnvp", "gan-mlp"})
    expect_steps_train({model, "--set", "x=60", "--set", "h=40"}, {60});
}

TEST_F(Timed, steps_of_images_train) {
  expect_steps_train({"vae-conv", "--set", "c=4", "--set", "z=3"}, {1, 32, 32});
  expect_steps_train({"gan-dc", "--set", "c=2", "--set", "z=3"}, {1, 32, 32});
  expect_steps_train({"flow-glow", "--set", "steps=1", "--set", "h=4"}, {1, 16, 16});
  expect_steps_train({"diffusion-ddpm", "--set", "c=8", "--set", "size=16"}, {1, 16, 16});
}

TEST_F(Timed, state_of_one_entry_is_saved) {
  EXPECT_THAT(refused(2, {"bench", "vae-mlp", "--save", file("x")}), testing::HasSubstr("--save: expected one entry"));
}

}  // namespace
}  // namespace gmc::test
