// Runs that are broken off: at any moment, and at any step.
#include "tests/cli/cli.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char** environ;

namespace gmc::test {
namespace {

bool long_tests() { return std::getenv("GMC_LONG_TESTS") != nullptr; }

class Durable : public Cli {
protected:
  // Starts gmc, waits until it has put a new file in the place of `checkpoint`, and kills it after a delay.
  void kill_after(Words words, const std::string& checkpoint, std::chrono::microseconds delay) const {
    struct stat before = {}, now = {};
    ASSERT_EQ(stat(checkpoint.c_str(), &before), 0);
    words.insert(words.begin(), program);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    bool ended = false;
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      stat(checkpoint.c_str(), &now);
      ended = waitpid(child, &status, WNOHANG) != 0;
    } while (!ended && now.st_ino == before.st_ino);
    ASSERT_FALSE(ended) << "gmc ended by itself, with status " << status;
    std::this_thread::sleep_for(delay);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  int64_t step_of(const std::string& path) const {
    files::Metadata metadata;
    EXPECT_FALSE(files::load_safetensors(path, &metadata).empty());
    return std::stoll(metadata.at("step"));
  }
};

struct Family {
  const char* model;
  const char* data;
  Words set;
};

class Kill : public Durable, public testing::WithParamInterface<Family> {};

// Each run goes on from what the killed ones left, saves after every step and is killed while it does: the checkpoint
// is whole every time and never goes back, and its weights are those of a run that nobody disturbed.
TEST_P(Kill, leaves_a_whole_checkpoint) {
  const Family& f = GetParam();
  const bool many = std::string(f.model) == "vae-mlp";
  if (!many && !long_tests()) GTEST_SKIP() << "GMC_LONG_TESTS is not set";
  const std::string checkpoint = file("out/last.safetensors");
  Words train{"train", f.model, "--data", f.data, "--checkpoint-every", "1", "-q", "--no-events"};
  for (const std::string& field : f.set) train = train + Words{"--set", field};
  fine(train + Words{"--steps", "1", "--out", file("out")});
  const int kills = many ? (long_tests() ? 200 : 8) : 20;
  int64_t last = step_of(checkpoint);
  for (int i = 0; i < kills; ++i) {
    kill_after(train + Words{"--steps", "100000000", "--out", file("out"), "--resume", checkpoint}, checkpoint,
               std::chrono::microseconds(i * 7919 % 20000));
    const int64_t now = step_of(checkpoint);
    ASSERT_GT(now, last) << "kill " << i;
    last = now;
  }
  fine(train + Words{"--steps", std::to_string(last), "--out", file("whole")});
  const TensorMap whole = files::load_safetensors(file("whole/last.safetensors"));
  for (const auto& [name, tensor] : files::load_safetensors(checkpoint))
    EXPECT_TRUE(tensor.bytes == whole.at(name).bytes) << name;
}

class Resume : public Durable, public testing::WithParamInterface<Family> {};

TEST_P(Resume, gives_the_same_bits_from_any_step) {
  const Family& f = GetParam();
  Words train{"train", f.model, "--data", f.data, "-q", "--no-events"};
  for (const std::string& field : f.set) train = train + Words{"--set", field};
  constexpr int steps = 30;
  // Samples on the way change nothing.
  fine(train + Words{"--steps", std::to_string(steps), "--out", file("whole"), "--sample-every", "4"});
  const std::string expected = read(file("whole/last.safetensors"));
  const int points = long_tests() ? 20 : 1;
  for (int i = 0; i < points; ++i) {
    const int at = 1 + (i * 13 + 7) % (steps - 1);
    std::filesystem::remove_all(file("part"));
    fine(train + Words{"--steps", std::to_string(at), "--out", file("part")});
    fine(train +
         Words{"--steps", std::to_string(steps), "--out", file("part"), "--resume", file("part/last.safetensors")});
    EXPECT_TRUE(read(file("part/last.safetensors")) == expected) << "from step " << at;
    EXPECT_EQ(read(file("part/metrics.csv")), read(file("whole/metrics.csv")));
  }
}

const std::vector<Family>& families() {
  static const std::vector<Family> all{

      Family{"vae-mlp", "glyphs:300", {"h=24", "z=3", "batch=16", "accumulate=4"}},
      Family{"vae-conv", "shapes:60", {"c=4", "z=3", "batch=4"}},
      Family{"gan-mlp", "glyphs:300", {"h=24", "z=3", "batch=16", "paired=true", "gamma=0.1", "ema=0.9", "decay=40"}},
      Family{"gan-dc", "shapes:60", {"c=2", "z=3", "batch=4", "accumulate=2", "ema=0.9"}},
      Family{"flow-realnvp", "glyphs:300", {"h=16", "layers=2", "batch=16"}},
      Family{"flow-glow", "shapes:60", {"steps=1", "h=4", "batch=4", "ema=0.9"}},
      Family{"diffusion-ddpm",
             "glyphs:60",
             {"size=8", "c=8", "batch=2", "ddim=2", "n=2", "classes=10", "prepare=pad=32,pool=4,range=-1:1"}},
      Family{"ar-gpt", "arithmetic:100", {"batch=2", "t=8", "vocab=13", "d=12", "heads=3", "layers=1", "gen=4"}},
      Family{"ar-lstm", "arithmetic:100", {"batch=2", "t=8", "vocab=13", "d=12", "layers=1", "gen=4"}},
      Family{"ar-seq2seq", "reverse", {"batch=2", "t=6", "vocab=13", "d=12", "heads=3", "layers=1", "ff=16", "gen=4"}}};
  return all;
}

std::string name_of(const testing::TestParamInfo<Family>& one) {
  std::string name = one.param.model;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Families, Resume, testing::ValuesIn(families()), name_of);
INSTANTIATE_TEST_SUITE_P(Families, Kill, testing::ValuesIn(families()), name_of);

}  // namespace
}  // namespace gmc::test
