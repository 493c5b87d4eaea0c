// Plans as files: made, edited by hand, compiled from, refused. Results are judged by `gmc verify` on a case that the
// f64 interpreter wrote.
#include "compiler/graph/graph.h"
#include "compiler/package/program_source.h"
#include "compiler/transform/pass.h"
#include "models/load.h"
#include "runtime/execute/random.h"
#include "tests/cli/cli.h"

namespace gmc::test {
namespace {

using testing::HasSubstr;
using json = nlohmann::ordered_json;

const Overrides config{{"batch", "7"}, {"x", "36"}, {"h", "20"}, {"z", "3"}};

float noise(uint64_t stream, int64_t i) {
  return static_cast<float>(execute::uniform_of(execute::random_word(stream, static_cast<uint64_t>(i))));
}

// Values for the inputs of an entry whose draws are fed: data in [0, 1), draws in [-1.5, 1.5).
TensorMap inputs_of(const graph::Graph& entry, uint64_t stream) {
  TensorMap out;
  for (const graph::Node& node : entry.nodes()) {
    if (node.op->category != graph::Category::input || node.text("role") == "state") continue;
    HostTensor t(node.types[0].dtype, node.types[0].shape);
    const bool draw = node.text("role") == "draw";
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = draw ? 3 * noise(stream, i) - 1.5F : noise(stream, i);
    out[node.text("name")] = t;
  }
  return out;
}

class Plans : public Cli {
protected:
  void SetUp() override {
    Program vae;
    load_model("vae-mlp").build(vae, "tiny", config);
    const package::Source source = package::source_of(vae, "vae-mlp", {"step", "sample"}, true);
    TensorMap params = package::initial_state(vae, 3);
    for (const State& s : vae.states())
      if (s.kind == StateKind::optimizer) params.erase(s.name);
    std::filesystem::create_directories(file("case"));
    files::save_safetensors(file("case/params.safetensors"), params);
    for (uint64_t k = 0; k < 2; ++k)
      files::save_safetensors(file("case/batch_" + std::to_string(k) + ".safetensors"),
                              inputs_of(source.entries.at(0), k));
    files::save_safetensors(file("case/draw.safetensors"), inputs_of(source.entries.at(1), 9));
    json about{{"steps", 2}, {"limits", {{"loss", 1e-5}, {"grads", 1e-4}, {"weights", 1e-3}, {"samples", 1e-4}}}};
    for (const auto& [field, value] : config) about["config"][field] = std::stoi(value);
    write(file("case/case.json"), about.dump());
    EXPECT_THAT(fine({"verify", "vae-mlp", "--case", file("case"), "--backend", "interp", "--out", file("case")}),
                HasSubstr("nothing to compare with"));
    about["losses"] = json::parse(read(file("case/losses.json")));
    ASSERT_EQ(about["losses"].size(), 2u);
    write(file("case/case.json"), about.dump());
  }

  Words verify(const Words& more) const { return Words{"verify", "vae-mlp", "--case", file("case")} + more; }
  static Words model() {
    Words words{"vae-mlp"};
    for (const auto& [field, value] : config) words = words + Words{"--set", fmt::format("{}={}", field, value)};
    return words;
  }
  // The plan of the training step under greedy.
  json plan() const {
    fine(Words{"compile"} + model() + Words{"--entry", "step", "--emit", "plan", "-o", file("plan.json")});
    return json::parse(read(file("plan.json")));
  }
  void keep(const json& plan) const { write(file("plan.json"), plan.dump(2)); }
  Words planned(const std::string& verb) const {
    return Words{verb} + model() + Words{"--fusion-plan", file("plan.json"), "--entry", "step"};
  }
  int64_t kernels(const Words& words) const {
    const json entry = json::parse(fine(words + Words{"--json"})).at("entries").at(0);
    return entry.at("generated_kernels").get<int64_t>() + entry.at("products").get<int64_t>();
  }

  // Moves part of one kernel to a new one behind it: the last op of a region, or all regions but the first.
  static json split(json plan, bool regions) {
    json& kernels = plan["entries"]["step"]["kernels"];
    for (size_t i = 0; i < kernels.size(); ++i) {
      const char* key = regions ? "regions" : "ops";
      if (!kernels[i].contains(key) || kernels[i][key].size() < 2) continue;
      json next{{"id", regions ? "split regions" : "split ops"}, {key, json::array()}};
      json& parts = kernels[i][key];
      const size_t kept = regions ? 1 : parts.size() - 1;
      while (parts.size() > kept) {
        next[key].insert(next[key].begin(), parts.back());
        parts.erase(parts.size() - 1);
      }
      kernels.insert(kernels.begin() + static_cast<ptrdiff_t>(i) + 1, next);
      return plan;
    }
    ADD_FAILURE() << "no kernel to split";
    return plan;
  }
};

TEST_F(Plans, of_every_policy_and_backend_agree_with_the_interpreter) {
  for (const char* policy : {"none", "greedy"})
    for (const char* backend : {"jit", "aot"})
      EXPECT_THAT(fine(verify({"--backend", backend, "--policy", policy})), HasSubstr("passed"));
}

TEST_F(Plans, edited_by_hand_change_the_kernels_and_not_the_results) {
  const json whole = plan();
  const int64_t before = kernels(planned("inspect"));
  for (const bool regions : {false, true}) {
    keep(split(whole, regions));
    EXPECT_EQ(kernels(planned("inspect")), before + 1) << regions;
    EXPECT_THAT(fine(Words{"bench"} + model() +
                     Words{"--fusion-plan", file("plan.json"), "--what", "step", "--seconds", "0.001"}),
                HasSubstr("kernels"));
  }
}

TEST_F(Plans, edited_by_hand_verify) {
  // Fed draws make another graph, with a plan of its own.
  json edited = json::parse(fine(Words{"inspect"} + model() + Words{"--feed-draws", "--stage", "plan"}));
  const size_t before = edited["entries"]["step"]["kernels"].size();
  edited = split(split(edited, false), true);
  EXPECT_EQ(edited["entries"]["step"]["kernels"].size(), before + 2);
  keep(edited);
  for (const char* backend : {"jit", "aot"})
    EXPECT_THAT(fine(verify({"--backend", backend, "--fusion-plan", file("plan.json")})), HasSubstr("passed"));
}

TEST_F(Plans, that_are_damaged_are_refused_with_the_rule) {
  const json whole = plan();
  json damaged = whole;
  json& kernels = damaged["entries"]["step"]["kernels"];
  const std::string dropped = kernels[0]["ops"].back();
  kernels[0]["ops"].erase(kernels[0]["ops"].size() - 1);
  keep(damaged);
  EXPECT_THAT(refused(1, planned("inspect")),
              testing::AllOf(HasSubstr("entry 'step'"), HasSubstr("'" + dropped + "'")));
  damaged = whole;
  damaged["entries"]["step"]["kernels"][1]["ops"].push_back(whole["entries"]["step"]["kernels"][0]["ops"][0]);
  keep(damaged);
  EXPECT_THAT(refused(1, planned("inspect")), HasSubstr("entry 'step'"));
  damaged = whole;
  damaged["entries"]["step"]["kernels"][0]["ops"][0] = "nothing/at/all";
  keep(damaged);
  EXPECT_THAT(refused(1, planned("inspect")), HasSubstr("the graph has no op 'nothing/at/all'"));
  damaged = whole;
  damaged["entries"]["step"]["graph"] = "0123456789abcdef";
  keep(damaged);
  EXPECT_THAT(refused(1, planned("inspect")), HasSubstr("was made for another graph"));
  // One kernel that holds all: the first rule that this breaks is named.
  damaged = whole;
  json all = json::array();
  for (const json& k : whole["entries"]["step"]["kernels"])
    for (const json& part : k.contains("ops") ? json::array({k["ops"]}) : k["regions"])
      for (const json& op : part) all.push_back(op);
  damaged["entries"]["step"]["kernels"] = json::array({{{"id", "k0"}, {"ops", all}}});
  keep(damaged);
  EXPECT_THAT(refused(1, planned("inspect")), testing::ContainsRegex("kernel 'k0' breaks [LR][0-9]"));
}

TEST_F(Plans, show_what_loops_run) {
  Words words{"inspect", "ar-lstm", "--entry", "sample"};
  for (const char* field : {"batch=2", "t=8", "vocab=13", "d=12", "layers=1", "gen=4"})
    words = words + Words{"--set", field};
  EXPECT_THAT(fine(words), HasSubstr("\nsample/scan/body under policy greedy: "));
  const json body = json::parse(fine(words + Words{"--json"})).at("entries").at(0).at("bodies").at(0);
  EXPECT_EQ(body.at("entry"), "sample/scan/body");
  EXPECT_GT(body.at("flops"), 0);
  json plan = json::parse(fine(words + Words{"--stage", "plan"}));
  for (json& kernel : plan["entries"]["sample"]["kernels"])
    if (kernel.contains("bodies")) kernel["bodies"][0]["kernels"].erase(0);
  keep(plan);
  EXPECT_THAT(refused(1, words + Words{"--fusion-plan", file("plan.json")}),
              HasSubstr("sample/scan/body: plan of entry 'body': op "));
}

TEST_F(Plans, verify_fails_past_the_limits) {
  json about = json::parse(read(file("case/case.json")));
  about["losses"][1]["loss"] = about["losses"][1]["loss"].get<double>() * 1.001;
  write(file("case/case.json"), about.dump());
  const auto r = gmc(verify({}));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.output, HasSubstr("FAILED"));
}

}  // namespace
}  // namespace gmc::test
