// Models of texts from outside: schedules, samplers, measures, and what is refused.
#include "tests/cli/cli.h"

#include <cmath>

namespace gmc::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Words lstm{"--set", "batch=4", "--set", "t=8",      "--set", "vocab=6",
                 "--set", "d=8",     "--set", "layers=1", "--set", "gen=12"};
const Words gpt{"--set", "batch=4", "--set",    "t=12",  "--set",   "vocab=6", "--set",
                "d=8",   "--set",   "layers=1", "--set", "heads=2", "--set",   "gen=12"};
const Words reverser{"--set",    "batch=16", "--set",   "t=3",   "--set", "vocab=5", "--set", "d=16",  "--set",
                     "layers=1", "--set",    "heads=2", "--set", "ff=16", "--set",   "gen=4", "--set", "start=1"};

class Text : public Cli {
protected:
  Text() { write(file("t"), corpus()); }
  static std::string corpus() {
    std::string text;
    for (int i = 0; i < 60; ++i) text += i % 3 ? "abc de" : "dab ce";
    return text;
  }
  std::string data() const { return "text:" + file("t"); }
  Words train(const std::string& model, const Words& size, const Words& more = {}) const {
    return Words{"train", model, "--data", data(), "--steps", "30", "--out", file("out"), "-q", "--no-events"} + size +
           more;
  }
  std::string weights() const { return file("out/last.safetensors"); }
  Words sample(const std::string& model, const Words& size, const Words& more = {}) const {
    return Words{"sample", model, "--weights", weights(), "-n", "2"} + size + more;
  }
  nlohmann::json measured(const Words& words) const {
    return nlohmann::json::parse(fine(Words{"eval"} + words + Words{"--json"}));
  }
};

// What a schedule and an accumulation remember is of no use to a program that only samples.
TEST_F(Text, samples_what_a_schedule_has_trained) {
  const Words schedule{"--set", "warmup=5", "--set", "decay=30", "--set", "floor=1e-5", "--set", "accumulate=2"};
  for (const auto& [model, size] : {std::pair{"ar-lstm", lstm}, std::pair{"ar-gpt", gpt}}) {
    fine(train(model, size, schedule));
    EXPECT_EQ(files::load_safetensors(weights()).count("schedule.t"), 1u);
    EXPECT_EQ(lines_of(fine(sample(model, size))), 2);
    fine(Words{"eval", model, "--data", data(), "--weights", weights()} + size);
    // It goes on only as it was: whole.
    EXPECT_THAT(gmc(train(model, size, {"--resume", weights()})).output, HasSubstr("warmup is 5 there, 0 here"));
    const Words resumed = size + schedule + Words{"--out", file("part"), "-q", "--no-events"};
    fine(Words{"train", model, "--data", data(), "--steps", "11"} + resumed);
    fine(Words{"train", model, "--data", data(), "--steps", "30", "--resume", file("part/last.safetensors")} + resumed);
    EXPECT_TRUE(read(file("part/last.safetensors")) == read(weights()));
  }
  EXPECT_THAT(refused(1, train("ar-lstm", lstm, {"--set", "warmup=5", "--set", "decay=3"})),
              HasSubstr("the decay ends at step 3, the warm-up at step 5"));
}

TEST_F(Text, is_chosen_as_the_configuration_says) {
  fine(train("ar-lstm", lstm));
  const std::string all = fine(sample("ar-lstm", lstm));
  EXPECT_EQ(fine(sample("ar-lstm", lstm, {"--set", "top_k=0", "--set", "top_p=1", "--set", "temperature=1"})), all);
  const std::string greedy = fine(sample("ar-lstm", lstm, {"--set", "temperature=0"}));
  EXPECT_EQ(fine(sample("ar-lstm", lstm, {"--set", "top_k=1"})), greedy);
  EXPECT_EQ(fine(sample("ar-lstm", lstm, {"--set", "top_p=1e-6"})), greedy);
  EXPECT_NE(greedy, all);
  EXPECT_THAT(gmc(sample("ar-lstm", lstm, {"--set", "top_k=7"})).output, HasSubstr("top_k must be in 0..6, got 7"));
}

TEST_F(Text, goes_on_from_a_prompt) {
  for (const auto& [model, size] : {std::pair{"ar-lstm", lstm}, std::pair{"ar-gpt", gpt}}) {
    fine(train(model, size));
    const Words base = Words{"sample", model, "--weights", weights()} + size;
    const std::string text = fine(base + Words{"--prompt", "abc"});
    EXPECT_EQ(text.substr(0, 3), "abc");
    EXPECT_EQ(text.size(), 3u + 10 + 1);  // of 12 symbols made, 2 are the prompt's
    // Greedily, what follows a prompt follows its continuation.
    const Words greedy = base + Words{"--set", "temperature=0"};
    const std::string whole = fine(greedy + Words{"--prompt", "abc"});
    EXPECT_EQ(fine(greedy + Words{"--prompt", whole.substr(0, 7)}), whole);
    fine(base + Words{"--prompt", "abc", "-n", "2", "-o", file("p.txt")});
    const std::string two = read(file("p.txt"));
    EXPECT_EQ(two.substr(0, text.size()), text);
    EXPECT_EQ(lines_of(two), 2);
    // Longer than a call makes.
    const std::string longer = fine(greedy + Words{"--prompt", "abc", "--length", "31"});
    EXPECT_EQ(longer.size(), 31u + 1);
    EXPECT_EQ(longer.substr(0, 13), whole.substr(0, 13));
    EXPECT_EQ(fine(greedy + Words{"--prompt", longer.substr(7, 6)}).substr(0, 13), longer.substr(7, 13));
    EXPECT_EQ(fine(base + Words{"--prompt", "abc", "--length", "5"}).substr(0, 5), text.substr(0, 5));
    EXPECT_THAT(refused(2, base + Words{"--prompt", "abc", "--length", "3"}), HasSubstr("the prompt has 3 symbols"));
    EXPECT_THAT(refused(2, base + Words{"--length", "3"}), HasSubstr("expected --prompt to begin with"));
    EXPECT_THAT(refused(1, base + Words{"--prompt", "abz"}), HasSubstr("byte 2, text: expected one of the 6 symbols"));
    EXPECT_THAT(refused(2, base + Words{"--prompt", ""}), HasSubstr("expected at least one symbol"));
    EXPECT_THAT(refused(2, base + Words{"--prompt", "abcabcabcabca"}),
                HasSubstr("13 symbols, entry 'continue' takes at most 12"));
    EXPECT_THAT(refused(1, Words{"sample", model, "--prompt", "a"} + size), HasSubstr("no vocabulary to read it with"));
  }
}

TEST_F(Text, is_measured_in_bits) {
  for (const auto& [model, size] : {std::pair{"ar-lstm", lstm}, std::pair{"ar-gpt", gpt}}) {
    fine(train(model, size));
    const auto j = measured(Words{model, "--data", data(), "--weights", weights()} + size);
    EXPECT_NEAR(j.at("perplexity").get<double>(), std::exp(j.at("loss").get<double>()), 1e-6);
    EXPECT_NEAR(j.at("bits_per_symbol").get<double>(), j.at("loss").get<double>() / std::log(2), 1e-6);
  }
}

TEST_F(Text, of_translations_is_measured_unsmoothed_and_whole) {
  const Words recipe =
      reverser + Words{"--set", "lr=5e-3", "--set", "warmup=200", "--set", "decay=2000", "--steps", "2000"};
  fine(Words{"train", "ar-seq2seq", "--data", "reverse:2", "--out", file("out"), "-q", "--no-events"} + recipe);
  const auto j = measured(Words{"ar-seq2seq", "--data", "reverse:2", "--weights", weights()} + reverser);
  EXPECT_LT(j.at("nll").get<double>(), j.at("loss").get<double>());
  EXPECT_NEAR(j.at("perplexity").get<double>(), std::exp(j.at("nll").get<double>()), 1e-6);
  EXPECT_GT(j.at("exact").get<double>(), 0.95);
  const Words translate = Words{"sample", "ar-seq2seq", "--weights", weights()} + reverser;
  for (const char* beam : {"beam=1", "beam=3"})
    EXPECT_EQ(fine(translate + Words{"--prompt", "aab", "--set", beam}), "^baa\n");
  EXPECT_THAT(refused(2, translate + Words{"--prompt", "aa"}), HasSubstr("2 symbols, entry 'continue' takes 3"));
  const auto untrained = measured(Words{"ar-seq2seq", "--data", "reverse:2"} + reverser);
  EXPECT_LT(untrained.at("exact").get<double>(), 0.5);
}

TEST_F(Text, of_others_is_refused) {
  fine(train("ar-lstm", lstm));
  EXPECT_THAT(gmc(sample("ar-gpt", gpt)).output, AllOf(HasSubstr("'emb.weight' is no state of this program"),
                                                       HasSubstr("a checkpoint of ar-lstm, not of ar-gpt")));
  EXPECT_THAT(gmc(sample("ar-lstm", lstm, {"--set", "d=9"})).output, HasSubstr("d is 8 there, 9 here"));
  write(file("other"),
        "xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz xyz");
  const Words eval = Words{"eval", "ar-lstm", "--weights", weights()} + lstm;
  EXPECT_THAT(refused(1, eval + Words{"--data", "text:" + file("other")}), HasSubstr("another vocabulary"));
  const Words more =
      Words{"train", "ar-lstm", "--steps", "1", "--out", file("more"), "-q", "--weights", weights()} + lstm;
  EXPECT_THAT(refused(1, more + Words{"--data", "text:" + file("other")}), HasSubstr("another vocabulary"));
  fine(more + Words{"--data", data()});
  EXPECT_THAT(refused(1, eval + Words{"--data", data(), "--set", "vocab=5"}),
              HasSubstr("has 6 symbols, ar-lstm takes 5: --set vocab=6"));
}

TEST_F(Text, too_short_or_odd_is_refused) {
  const auto with = [&](const std::string& text, const Words& more = {}) {
    write(file("t"), text);
    return train("ar-lstm", lstm, more);
  };
  EXPECT_THAT(refused(1, with("")), HasSubstr("expected at least 2 distinct symbols, got 0"));
  EXPECT_THAT(refused(1, with("aaaaaaaaaaaaaaaaaaaaaaa")), HasSubstr("expected at least 2 distinct symbols, got 1"));
  EXPECT_THAT(refused(1, with("abcde")), HasSubstr("too few for windows of 8 and one more"));
  EXPECT_THAT(refused(1, with(corpus().substr(0, 40))), HasSubstr("the validating part has 4 elements"));
  EXPECT_THAT(refused(1, with(corpus(), {"--set", "batch=1000"})),
              HasSubstr("a batch of 1000 is larger than the training part"));
  EXPECT_THAT(refused(1, with(corpus() + "\xc3")), HasSubstr("expected UTF-8, got 0xc3"));
  EXPECT_THAT(refused(1, with("abcdefgh" + corpus())), HasSubstr("has 9 symbols, ar-lstm takes 6"));
}

TEST_F(Text, longer_than_there_are_places_is_refused) {
  EXPECT_THAT(gmc(Words{"sample", "ar-gpt", "-o", "-"} + gpt + Words{"--set", "gen=13"}).output,
              HasSubstr("gen=13: there are 12 places (t)"));
}

}  // namespace
}  // namespace gmc::test
