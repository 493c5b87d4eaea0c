// Training from outside: what it leaves, the same bits every time, and what happens when it is broken off.
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "tests/cli/cli.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace gmc::test {
namespace {

using testing::HasSubstr;

class Train : public Cli {
protected:
  // Words of a training run into a folder of this name.
  Words words(const std::string& out, int steps, const Words& more = {}) const {
    return Words{"train", "vae-mlp", "--data", "glyphs:300", "--steps", std::to_string(steps),
                 "--out", file(out), "--quiet"} +
           more;
  }
  std::string weights(const std::string& out) const { return file(out + "/last.safetensors"); }
  std::string metrics(const std::string& out) const { return read(file(out + "/metrics.csv")); }
  // The step a checkpoint is from; every tensor of it is read and checked on the way.
  int64_t step_of(const std::string& out) const {
    files::Metadata metadata;
    EXPECT_FALSE(files::load_safetensors(weights(out), &metadata).empty());
    return std::stoll(metadata.at("step"));
  }
};

// gmc in the background, until a checkpoint is there and `signal` has ended it; its exit status, 128 + signal if
// killed.
int interrupted(Words words, const std::string& checkpoint, std::chrono::milliseconds delay, int signal) {
  words.insert(words.begin(), GMC_BINARY_DIR "/gmc");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int problem = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) return -1;
  int status = 0;
  while (!std::filesystem::exists(checkpoint) && waitpid(child, &status, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(delay);
  kill(child, signal);
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(Train, leaves_weights_metrics_and_samples) {
  const auto j = nlohmann::json::parse(fine(words("out", 30, {"--json"})));
  EXPECT_EQ(j.at("steps"), 30);
  EXPECT_GT(j.at("validation").get<double>(), 0);
  EXPECT_EQ(step_of("out"), 30);
  const std::string csv = metrics("out");
  EXPECT_EQ(lines_of(csv), 31);
  EXPECT_EQ(csv.rfind("step,loss\n0,", 0), 0u) << csv;
  const double first = std::stod(csv.substr(csv.find("\n0,") + 3)), last = std::stod(csv.substr(csv.find("\n29,") + 4));
  EXPECT_LT(last, 0.6 * first);
  const HostTensor image = files::load_png(file("out/samples.png"));
  EXPECT_EQ(image.shape, (Shape{8 * 28 + 7 * 2, 8 * 28 + 7 * 2, 1}));
  fine({"sample", "vae-mlp", "--weights", weights("out"), "-n", "10", "-o", file("s.txt")});
  EXPECT_EQ(lines_of(read(file("s.txt"))), 10);
}

TEST_F(Train, gives_the_same_bits_for_every_number_of_threads) {
  std::string expected;
  for (const char* threads : {"1", "2", "5", "1", "2", "5"}) {
    fine(words("out", 12, {"--seed", "7", "--threads", threads}));
    const std::string got = read(weights("out"));
    if (expected.empty()) expected = got;
    EXPECT_TRUE(got == expected) << threads << " threads";
    std::filesystem::remove_all(file("out"));
  }
  fine(words("out", 12, {"--seed", "8"}));
  EXPECT_FALSE(read(weights("out")) == expected);
}

TEST_F(Train, resumes_to_the_same_bits_and_continues_the_metrics) {
  fine(words("whole", 30, small));
  fine(words("parts", 15, small));
  EXPECT_EQ(lines_of(metrics("parts")), 16);
  fine(words("parts", 30, Words{"--resume", weights("parts")} + small));
  EXPECT_TRUE(read(weights("whole")) == read(weights("parts")));
  EXPECT_EQ(metrics("whole"), metrics("parts"));
  EXPECT_THAT(refused(1, words("parts", 40, Words{"--resume", weights("parts"), "--seed", "3"} + small)),
              HasSubstr("was trained with --seed 0, not 3"));
  EXPECT_THAT(refused(1, words("parts", 40, Words{"--resume", weights("parts"), "--policy", "none"} + small)),
              HasSubstr("was trained under plan"));
  EXPECT_EQ(step_of("parts"), 30);
}

TEST_F(Train, refuses_to_resume_from_what_is_no_checkpoint) {
  fine(words("out", 2, small));
  files::Metadata metadata;
  const TensorMap state = files::load_safetensors(weights("out"), &metadata);
  files::save_safetensors(file("plain"), state);
  EXPECT_THAT(refused(1, words("out", 4, Words{"--resume", file("plain")} + small)),
              HasSubstr("is no checkpoint of gmc: its metadata lack 'step'"));
  metadata["step"] = "two";
  files::save_safetensors(file("odd"), state, metadata);
  EXPECT_THAT(refused(1, words("out", 4, Words{"--resume", file("odd")} + small)),
              HasSubstr("metadata 'step': expected a number, got 'two'"));
  const auto other = gmc(words("out", 4, {"--resume", weights("out")}));
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("'mu.bias': expected f32[20], got f32[3]"));
}

TEST_F(Train, saves_and_ends_when_interrupted) {
  for (const int signal : {SIGINT, SIGTERM}) {
    std::filesystem::remove_all(file("out"));
    EXPECT_EQ(interrupted(words("out", 100000000, Words{"--checkpoint-every", "5"} + small), weights("out"),
                          std::chrono::milliseconds(30), signal),
              0);
    const int64_t step = step_of("out");
    EXPECT_GE(step, 5);
    EXPECT_LT(step, 100000000);
    EXPECT_EQ(lines_of(metrics("out")), step + 1);
    EXPECT_TRUE(std::filesystem::exists(file("out/samples.png")));
  }
}

TEST_F(Train, leaves_a_whole_checkpoint_when_killed) {
  for (const int delay : {0, 7, 23}) {
    std::filesystem::remove_all(file("out"));
    EXPECT_EQ(interrupted(words("out", 100000000, Words{"--checkpoint-every", "1"} + small), weights("out"),
                          std::chrono::milliseconds(delay), SIGKILL),
              128 + SIGKILL);
    EXPECT_GE(step_of("out"), 1);
  }
  const int64_t step = step_of("out");
  fine(words("out", static_cast<int>(step + 2), Words{"--resume", weights("out")} + small));
  EXPECT_EQ(step_of("out"), step + 2);
}

TEST_F(Train, keeps_the_old_checkpoint_when_the_disk_is_full) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer maps a file of its own, which the limit cuts";
#endif
  fine(words("out", 2, small));
  const std::string before = read(weights("out"));
  // Files may grow to 32 kB; the checkpoint is larger.
  ASSERT_GT(before.size(), 100000u);
  const auto r =
      package::run_process(Words{"sh", "-c", "ulimit -f 64; exec \"$@\"", "sh", program} + words("out", 4, small));
  EXPECT_EQ(r.status, 1) << r.output;
  EXPECT_THAT(r.output, testing::AllOf(HasSubstr("gmc: error: "), HasSubstr("last.safetensors")));
  EXPECT_TRUE(read(weights("out")) == before);
  for (const auto& entry : std::filesystem::directory_iterator(file("out")))
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr(".tmp")));
}

TEST_F(Train, stops_when_the_loss_is_no_number) {
  const std::string line = refused(1, words("out", 20, Words{"--checkpoint-every", "1", "--set", "lr=1e30"} + small));
  EXPECT_THAT(line, testing::AllOf(HasSubstr("loss is "), HasSubstr("at step 1"), HasSubstr("last checkpoint")));
  EXPECT_EQ(step_of("out"), 1);
  EXPECT_EQ(lines_of(metrics("out")), 2);
}

// With replacement, a batch may hold a sample twice, and a run is not the one without; nor is it gone on with as if.
TEST_F(Train, batches_with_replacement_are_others) {
  const Words train = Words{"train", "vae-mlp", "--data", "glyphs:100", "-q", "--no-events"} + small;
  fine(train + Words{"--steps", "3", "--out", file("a")});
  fine(train + Words{"--steps", "3", "--out", file("b"), "--with-replacement"});
  fine(train + Words{"--steps", "3", "--out", file("c"), "--with-replacement"});
  EXPECT_NE(read(file("a/metrics.csv")), read(file("b/metrics.csv")));
  EXPECT_EQ(read(file("b/last.safetensors")), read(file("c/last.safetensors")));
  EXPECT_THAT(refused(1, train + Words{"--steps", "5", "--out", file("b"), "--resume", file("b/last.safetensors")}),
              HasSubstr("was trained on other data: glyphs: 90 train, 10 validate, with replacement"));
}

// Data of the same size are other data all the same.
TEST_F(Train, is_gone_on_with_on_the_same_samples_only) {
  HostTensor images(DType::f32, {40, 784});
  files::save_npy(file("a.npy"), images);
  images.as<float>()[31000] = 0.5f;
  files::save_npy(file("b.npy"), images);
  const auto train = [&](const char* data, const char* steps, const Words& more) {
    return Words{"train",   "vae-mlp", "--data", "npy:" + file(data), "-q", "--no-events",
                 "--steps", steps,     "--out",  file("out")} +
           small + more;
  };
  fine(train("a.npy", "1", {}));
  EXPECT_THAT(refused(1, train("b.npy", "2", {"--resume", weights("out")})), HasSubstr("trained on other samples"));
  fine(train("a.npy", "2", {"--resume", weights("out")}));
}

}  // namespace
}  // namespace gmc::test
