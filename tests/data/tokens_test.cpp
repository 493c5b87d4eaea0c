// Texts, signals and made sequences.
#include "runtime/data/tokens.h"
#include "tests/data/testing.h"

#include <cmath>
#include <map>
#include <sstream>

namespace gmc::data::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Slot> windows(int64_t batch, int64_t size) {
  return {{"ids", DType::i64, {batch, size}}, {"targets", DType::i64, {batch, size}}};
}

TEST(Vocabulary, IsTheSortedCharacters) {
  const Vocabulary v = Vocabulary::characters("banana\n\xc3\xa9", "t");  // é
  EXPECT_EQ(v.size(), 5);
  EXPECT_EQ(v.name(0), "\n");
  EXPECT_EQ(v.name(1), "a");
  EXPECT_EQ(v.name(4), "\xc3\xa9");
  EXPECT_THAT(v.encode("a\xc3\xa9n", "t"), ElementsAre(1, 4, 3));
  EXPECT_EQ(v.to_text(), "[\"\\n\",\"a\",\"b\",\"n\",\"\xc3\xa9\"]");
  EXPECT_EQ(Vocabulary::from_text(v.to_text()), v);
  EXPECT_EQ(Vocabulary::from_text("bytes"), Vocabulary::bytes());
  EXPECT_THAT(Vocabulary::bytes().encode("\xff!", "t"), ElementsAre(255, 33));
  // Symbols that are words.
  const Vocabulary words = Vocabulary::named({"_", "0 ", "1 ", "10 "});
  EXPECT_THAT(words.encode("0 10 1 1", "t"), ElementsAre(1, 3, 2, 2));
  EXPECT_THAT(error_of([&] { words.encode("0 10_", "t"); }), HasSubstr("byte 2, text: expected one of the 4 symbols"));
}

TEST(Vocabulary, GoldenErrors) {
  const Vocabulary v = Vocabulary::characters("ab", "t");
  EXPECT_EQ(error_of([&] { v.encode("aXb", "t"); }),
            "t: byte 1, text: expected one of the 2 symbols of the vocabulary, got 'X'");
  for (const std::string bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\x80"})
    EXPECT_THAT(error_of([&] { Vocabulary::characters("a" + bad, "t"); }),
                HasSubstr("t: byte 1, text: expected UTF-8, got 0x"));
  EXPECT_THAT(error_of([&] { Vocabulary::from_text("{}"); }), HasSubstr("expected 'bytes' or a list of symbols"));
  EXPECT_EQ(error_of([&] { Vocabulary::from_text("[\"a\",\"\"]"); }), "vocabulary: a symbol has an empty name");
}

TEST(Text, GivesWindowsAndWhatFollowsThem) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>('A' + i % 50);
  write_plainly(folder / "t", text);
  const auto data = load_dataset("text:" + (folder / "t"));
  EXPECT_EQ(data->describe(), "90 symbols train, 10 validate, vocabulary of 50");
  EXPECT_EQ(data->epoch(Part::train, windows(3, 8)), 11);  // 82 places to begin
  for (uint64_t step = 0; step < 50; ++step) {
    const auto got = drawn(*data, {Part::train, Order::shuffled, 0, step}, windows(3, 8));
    for (int64_t i = 0; i < 24; ++i) {
      EXPECT_EQ((got[0].as<int64_t>()[i] + 1) % 50, got[1].as<int64_t>()[i]);
      if (i % 8 != 0) {
        EXPECT_EQ((got[0].as<int64_t>()[i - 1] + 1) % 50, got[0].as<int64_t>()[i]);
      }
    }
  }
  const auto tail = drawn(*data, {Part::validate, Order::sequential, 0, 0}, windows(1, 4));
  EXPECT_THAT(numbers(tail[0]), ElementsAre(40, 41, 42, 43));
  EXPECT_THAT(numbers(drawn(*data, {Part::validate, Order::sequential, 0, 1}, windows(1, 4))[0]),
              ElementsAre(44, 45, 46, 47));
}

TEST(Text, GoldenErrors) {
  const TemporaryFolder folder;
  const std::string path = folder / "t";
  write_plainly(path, "abcdefghij");
  const auto data = load_dataset("text:" + path);
  const auto error = [&](Part part, const std::vector<Slot>& slots) {
    return error_of([&] { data->epoch(part, slots); });
  };
  EXPECT_EQ(error(Part::train, windows(1, 9)),
            "data text:" + path + ": the training part has 9 elements, too few for windows of 9 and one more");
  EXPECT_EQ(error(Part::validate, windows(1, 4)),
            "data text:" + path + ": the validating part has 1 elements, too few for windows of 4 and one more");
  EXPECT_EQ(error(Part::train, windows(9, 4)),
            "data text:" + path + ": a batch of 9 is larger than the training part, which has 5 windows of 4");
  EXPECT_EQ(error(Part::train, {{"x", DType::f32, {3, 4}}}),
            "data text:" + path + ": expected inputs 'ids', 'targets' of i64[B, T], got 'x' of f32[3, 4]");
  write_plainly(path, "aaaaaaaa");
  EXPECT_EQ(spec_error("text:" + path), "data text:" + path + ": expected at least 2 distinct symbols, got 1");
  write_plainly(path, "");
  EXPECT_EQ(spec_error("text:" + path), "data text:" + path + ": expected at least 2 distinct symbols, got 0");
  write_plainly(path, "ab\xff");
  EXPECT_EQ(spec_error("text:" + path), path + ": byte 2, text: expected UTF-8, got 0xff; use bytes: for other files");
  EXPECT_EQ(load_dataset("bytes:" + path)->vocabulary()->size(), 256);
  EXPECT_EQ(spec_error("text:" + path + "no"), "cannot read " + path + "no: no such file or directory");
}

TEST(Reversal, IsWhatTheDecoderShouldSay) {
  const auto data = load_dataset("reverse");
  EXPECT_EQ(data->vocabulary()->size(), 13);
  const std::vector<Slot> slots{
      {"src", DType::i64, {16, 12}}, {"ids", DType::i64, {16, 12}}, {"targets", DType::i64, {16, 12}}};
  EXPECT_EQ(data->epoch(Part::train, slots), 0);
  std::map<int64_t, int> seen;
  for (uint64_t step = 0; step < 20; ++step) {
    const auto got = drawn(*data, {Part::train, Order::shuffled, 4, step}, slots);
    for (int64_t b = 0; b < 16; ++b)
      for (int64_t t = 0; t < 12; ++t) {
        const auto at = [&](size_t i, int64_t k) { return got[i].as<int64_t>()[b * 12 + k]; };
        EXPECT_EQ(at(2, t), at(0, 11 - t));
        EXPECT_EQ(at(1, t), t == 0 ? 1 : at(2, t - 1));
        ++seen[at(0, t)];
      }
  }
  EXPECT_EQ(seen.begin()->first, 3);
  EXPECT_EQ(seen.rbegin()->first, 12);
  for (const auto& [symbol, count] : seen) EXPECT_NEAR(count, 384, 90) << symbol;
  EXPECT_NE(numbers(drawn(*data, {Part::train, Order::shuffled, 4, 0}, slots)[0]),
            numbers(drawn(*data, {Part::validate, Order::uniform, 4, 0}, slots)[0]));
}

TEST(Arithmetic, Adds) {
  std::istringstream lines(arithmetic(500));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const size_t plus = line.find('+'), equals = line.find('=');
    std::string sum = line.substr(equals + 1);
    std::reverse(sum.begin(), sum.end());
    EXPECT_EQ(std::stoi(line.substr(0, plus)) + std::stoi(line.substr(plus + 1, equals)), std::stoi(sum)) << line;
  }
  EXPECT_EQ(count, 500);
  EXPECT_EQ(load_dataset("arithmetic:100")->vocabulary()->size(), 13);
}

TEST(Signal, ComesAsNumbersAndAsLevels) {
  std::vector<float> values;
  for (int i = 0; i < 100; ++i) values.push_back(static_cast<float>(i % 5) / 2 - 1);
  const auto data = signal_of(values, "a");
  const auto got = drawn(*data, {Part::train, Order::sequential, 0, 0}, {{"x", DType::f32, {2, 5}}});
  EXPECT_THAT(floats(got[0]), ElementsAre(-1, -0.5, 0, 0.5, 1, -1, -0.5, 0, 0.5, 1));
  const auto levels = drawn(*data, {Part::train, Order::sequential, 0, 0}, windows(1, 5));
  // (1 + sign(x) log(1 + 255 |x|) / log 256) 128, capped at 255: .5 lies at .8757.
  EXPECT_THAT(numbers(levels[0]), ElementsAre(0, 15, 128, 240, 255));
  EXPECT_THAT(numbers(levels[1]), ElementsAre(15, 128, 240, 255, 0));
}

}  // namespace
}  // namespace gmc::data::testing
