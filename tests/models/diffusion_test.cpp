// Sampling of the diffusion model against its formulas: the network is asked for the noise step by step, all else is
// computed here in f64, on the same draws.
#include "compiler/package/program_source.h"
#include "compiler/package/session.h"
#include "models/load.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace gmc {
namespace {

using Values = std::vector<double>;
using Labels = std::vector<int64_t>;

class Diffusion : public testing::Test {
protected:
  static constexpr int64_t n = 2;

  void build(const Overrides& more) {
    Overrides set{{"batch", "2"}, {"size", "4"}, {"c", "8"}, {"n", "2"}};
    set.insert(set.end(), more.begin(), more.end());
    Program program;
    load_model("diffusion-ddpm").build(program, "tiny", set);
    session_.emplace(package::compile(package::source_of(program, "diffusion-ddpm", {"noise", "sample"}, true),
                                      {codegen::host_target(), "greedy", {}, "", 0, false}),
                     package::SessionOptions{.threads = 1});
    session_->set_state(package::initial_state(program, 5), false);
  }

  // Normal numbers, as many as `shape` has elements.
  static HostTensor draw(const Shape& shape, uint64_t key) {
    HostTensor out(DType::f32, shape);
    for (int64_t i = 0; i < out.count(); ++i)
      out.as<float>()[i] = static_cast<float>(execute::normal_of(execute::random_word(key, static_cast<uint64_t>(i))));
    return out;
  }
  static Values values(const HostTensor& t) { return {t.as<float>(), t.as<float>() + t.count()}; }
  static HostTensor whole_numbers(const Labels& of) {
    HostTensor out(DType::i64, {static_cast<int64_t>(of.size())});
    std::copy(of.begin(), of.end(), out.as<int64_t>());
    return out;
  }

  Values noise(const Values& x, int64_t t, const Labels& labels) {
    TensorMap inputs{{"x", HostTensor(DType::f32, {n, 1, 4, 4})}, {"t", whole_numbers({t, t})}};
    std::transform(x.begin(), x.end(), inputs["x"].as<float>(), [](double v) { return static_cast<float>(v); });
    if (!labels.empty()) inputs["labels"] = whole_numbers(labels);
    return values(session_->run("noise", inputs).at("noise"));
  }

  // What is left of the image at each time.
  static Values signal() {
    Values left;
    for (int t = 0; t < 1000; ++t) left.push_back((t > 0 ? left.back() : 1) * (1 - (1e-4 + (0.02 - 1e-4) * t / 999)));
    return left;
  }
  // Over `trips` times, each noise from `seen`(x, t); `fresh`: new noise of every trip, none for DDIM.
  template <class Seen>
  static Values chain(Values x, int64_t trips, const Values& fresh, Seen seen) {
    const Values left = signal();
    const auto time = [&](int64_t i) { return 999 * (trips - 1 - i) / (trips - 1); };
    for (int64_t i = 0; i < trips; ++i) {
      const Values e = seen(x, time(i));
      const double a = left[static_cast<size_t>(time(i))];
      const double b = i + 1 < trips ? left[static_cast<size_t>(time(i + 1))] : 1;
      for (size_t k = 0; k < x.size(); ++k) {
        const double image = std::clamp((x[k] - std::sqrt(1 - a) * e[k]) / std::sqrt(a), -1.0, 1.0);
        if (fresh.empty()) {
          x[k] = std::sqrt(b) * image + std::sqrt(1 - b) * e[k];
          continue;
        }
        // The posterior of the step from a to b given the image (Ho et al. 2020, equations 6 and 7).
        const double beta = 1 - a / b, variance = (1 - b) / (1 - a) * beta;
        const double mean = std::sqrt(b) * beta / (1 - a) * image + std::sqrt(1 - beta) * (1 - b) / (1 - a) * x[k];
        x[k] = mean + std::sqrt(variance) * fresh[static_cast<size_t>(i) * x.size() + k];
      }
    }
    return x;
  }

  static void expect_near(const Values& got, const Values& want, double tolerance) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
  }

  std::optional<package::Session> session_;
};

TEST_F(Diffusion, goes_through_all_times_step_by_step) {
  build({{"ancestral", "true"}, {"ddim", "1000"}});
  const TensorMap draws{{"x", draw({n, 1, 4, 4}, 1)}, {"noise", draw({1000, n, 1, 4, 4}, 2)}};
  const Values got = values(session_->run("sample", draws).at("samples"));
  const Values want = chain(values(draws.at("x")), 1000, values(draws.at("noise")),
                            [&](const Values& x, int64_t t) { return noise(x, t, {}); });
  expect_near(got, want, 1e-3);
  // The last image has no new noise: it lies in the range of images.
  EXPECT_LE(*std::max_element(got.begin(), got.end()), 1);
}

TEST_F(Diffusion, takes_fewer_times) {
  for (const bool ancestral : {false, true}) {
    build({{"ancestral", ancestral ? "true" : "false"}, {"ddim", "7"}});
    TensorMap draws{{"x", draw({n, 1, 4, 4}, 1)}};
    if (ancestral) draws["noise"] = draw({7, n, 1, 4, 4}, 2);
    const Values got = values(session_->run("sample", draws).at("samples"));
    expect_near(got,
                chain(values(draws.at("x")), 7, ancestral ? values(draws.at("noise")) : Values{},
                      [&](const Values& x, int64_t t) { return noise(x, t, {}); }),
                1e-4);
  }
}

TEST_F(Diffusion, is_guided_by_labels) {
  const Values start = values(draw({n, 1, 4, 4}, 1));
  const Labels chosen{2, 0}, none{3, 3};
  std::vector<Values> results;
  for (const double guidance : {0.0, -1.0, 2.0}) {
    build({{"classes", "3"}, {"labels", "2,0"}, {"guidance", std::to_string(guidance)}, {"ddim", "5"}});
    results.push_back(values(session_->run("sample", {{"x", draw({n, 1, 4, 4}, 1)}}).at("samples")));
    const auto seen = [&](const Values& x, int64_t t) {
      Values of = noise(x, t, chosen), free = noise(x, t, none);
      for (size_t i = 0; i < of.size(); ++i) of[i] = (1 + guidance) * of[i] - guidance * free[i];
      return of;
    };
    expect_near(results.back(), chain(start, 5, {}, seen), 1e-4);
  }
  const auto distance = [](const Values& a, const Values& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    return most;
  };
  EXPECT_GT(distance(results[0], results[1]), 1e-2);  // a class is not no class
  EXPECT_GT(distance(results[0], results[2]), 1e-2);
}

TEST_F(Diffusion, refuses_what_cannot_be) {
  const auto refusal = [](const Overrides& set) {
    Program program;
    try {
      load_model("diffusion-ddpm").build(program, "tiny", set);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal({{"ddim", "1001"}}), "ddim: expected 1 to 1000, got 1001");
  EXPECT_EQ(refusal({{"classes", "-1"}}), "classes: expected at least 0, got -1");
  EXPECT_EQ(refusal({{"guidance", "1"}}), "guidance and labels: expected classes, got 0");
  EXPECT_EQ(refusal({{"labels", "1"}}), "guidance and labels: expected classes, got 0");
  EXPECT_EQ(refusal({{"classes", "3"}, {"labels", "1,3"}}), "labels: expected 0 to 2, got 3");
}

}  // namespace
}  // namespace gmc
