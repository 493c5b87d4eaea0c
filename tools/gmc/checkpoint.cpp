#include "tools/gmc/checkpoint.h"

#include "runtime/base/error.h"

#include <charconv>
#include <set>

namespace gmc::tool {
namespace {

// `h is 400 there, 24 here`, of the fields that differ; empty if none does.
std::string differences(const std::string& there, const Model& model) {
  const auto saved = nlohmann::json::parse(there, nullptr, false);
  if (!saved.is_object()) return "";
  std::string out;
  const auto say = [&](const std::string& field, const std::string& was, const std::string& is) {
    out += fmt::format("{}{} is {} there, {} here", out.empty() ? "" : "; ", field, was, is);
  };
  for (const auto& [field, value] : model.values) {
    if (!saved.contains(field))
      say(field, "missing", value);
    else if (!saved[field].is_string() || saved[field].get<std::string>() != value)
      say(field, saved[field].is_string() ? saved[field].get<std::string>() : saved[field].dump(), value);
  }
  return out;
}

// What the states of optimisers are called before the first dot: `adam,schedule`.
std::string optimizers_of(const Model& model) {
  std::set<std::string> names;
  for (const State& s : model.program->states())
    if (s.kind == StateKind::optimizer) names.insert(s.name.substr(0, s.name.find('.')));
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace

std::string strangeness(const files::Metadata& metadata, const Model& model) {
  const auto of = metadata.find("model"), config = metadata.find("config");
  if (of != metadata.end() && of->second != model.name())
    return fmt::format("a checkpoint of {}, not of {}", of->second, model.name());
  return config == metadata.end() ? "" : differences(config->second, model);
}

void drop_foreign_optimizers(TensorMap& weights, const files::Metadata& metadata, const Model& model) {
  const auto names = metadata.find("optimizers");
  if (names == metadata.end()) return;
  std::set<std::string> known;
  for (const State& s : model.program->states()) known.insert(s.name);
  std::erase_if(weights, [&](const auto& weight) {
    const std::string first = weight.first.substr(0, weight.first.find('.'));
    return !known.count(weight.first) && ("," + names->second + ",").find("," + first + ",") != std::string::npos;
  });
}

void save_checkpoint(const std::string& path, const package::Session& session, const Model& model,
                     const Position& now) {
  files::Metadata metadata{{"format", "gmc"},
                           {"model", model.name()},
                           {"size", model.size},
                           {"config", model.config_json()},
                           {"step", std::to_string(now.step)},
                           {"seed", std::to_string(now.seed)},
                           {"optimizers", optimizers_of(model)},
                           {"plan", fmt::format("{:016x}", session.plan_hash())},
                           {"data", now.data},
                           {"content", fmt::format("{:016x}", now.content)}};
  if (!now.target.empty()) metadata["target"] = now.target;
  if (!now.prepare.empty()) metadata["prepare"] = now.prepare;
  if (!now.vocabulary.empty()) metadata["vocabulary"] = now.vocabulary;
  files::save_safetensors(path, session.state(), metadata);
}

int64_t resume_checkpoint(const std::string& path, package::Session& session, const Model& model, const Position& now) {
  files::Metadata metadata;
  const TensorMap state = files::load_safetensors(path, &metadata);
  if (const auto it = metadata.find("model"); it != metadata.end() && it->second != model.name())
    fail("'{}' is a checkpoint of {}, not of {}", path, it->second, model.name());
  const std::string different = differences(metadata["config"], model);
  try {
    session.set_state(state, true);
  } catch (const Error& e) {
    fail("'{}': {} ({})", path, e.what(), different.empty() ? "was it trained with the same --precision?" : different);
  }
  const auto number = [&](const char* key) -> uint64_t {
    const auto it = metadata.find(key);
    if (it == metadata.end()) fail("'{}' is no checkpoint of gmc: its metadata lack '{}'", path, key);
    const std::string& text = it->second;
    uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size())
      fail("'{}': metadata '{}': expected a number, got '{}'", path, key, text);
    return value;
  };
  const uint64_t step = number("step");
  if (step > uint64_t{1} << 62) fail("'{}': metadata 'step': {} is too many", path, step);
  if (number("seed") != now.seed) fail("'{}' was trained with --seed {}, not {}", path, number("seed"), now.seed);
  if (!different.empty()) fail("'{}' has another configuration: {}", path, different);
  const std::string plan = fmt::format("{:016x}", session.plan_hash());
  if (metadata["plan"] != plan)
    fail("'{}' was trained under plan {}, this is plan {}: use the same configuration, --policy, --fusion-plan, "
         "--precision, --march and --lib",
         path, metadata["plan"], plan);
  if (metadata["vocabulary"] != now.vocabulary)
    fail("'{}' was trained with another vocabulary: {} there, {} here", path,
         metadata["vocabulary"].empty() ? "none" : metadata["vocabulary"],
         now.vocabulary.empty() ? "none" : now.vocabulary);
  const auto data = [](const std::string& kind, const std::string& prepare) {
    return prepare.empty() ? kind : fmt::format("{}, prepared by {}", kind, prepare);
  };
  if (metadata["data"] != now.data || metadata["prepare"] != now.prepare)
    fail("'{}' was trained on other data: {} there; {} here", path, data(metadata["data"], metadata["prepare"]),
         data(now.data, now.prepare));
  if (const auto it = metadata.find("content");
      it != metadata.end() && it->second != fmt::format("{:016x}", now.content))
    fail("'{}' was trained on other samples than those of this data set ({})", path, now.data);
  // Another machine goes on as well, with other roundings.
  if (const auto it = metadata.find("target"); it != metadata.end() && it->second != now.target)
    fmt::print(stderr,
               "gmc: note: '{}' was trained with code for another processor (see --march): other last bits than "
               "without the break\n",
               path);
  return static_cast<int64_t>(step);
}

files::Metadata metadata_of(const std::string& path) {
  files::Metadata metadata;
  if (!path.empty()) files::load_safetensors(path, &metadata);
  return metadata;
}

std::optional<std::string> preparation_of(const files::Metadata& metadata) {
  if (!metadata.count("data")) return std::nullopt;
  const auto it = metadata.find("prepare");
  return it == metadata.end() ? "" : it->second;
}

std::optional<data::Vocabulary> vocabulary_of(const files::Metadata& metadata, const std::string& path) {
  const auto it = metadata.find("vocabulary");
  if (it == metadata.end()) return std::nullopt;
  try {
    return data::Vocabulary::from_text(it->second);
  } catch (const Error& e) {
    fail("'{}': {}", path, e.what());
  }
}

void check_vocabulary(const std::string& path, const data::Dataset& data) {
  const auto there = vocabulary_of(metadata_of(path), path);
  if (!there) return;
  const data::Vocabulary* here = data.vocabulary();
  if (!here || *here != *there)
    fail("'{}' was trained with another vocabulary: {} there, {} here", path, there->to_text(),
         here ? here->to_text() : "none");
}

}  // namespace gmc::tool
