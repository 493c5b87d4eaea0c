#include "tools/gmc/data_options.h"

#include "runtime/base/error.h"
#include "runtime/data/prepare.h"

#include <charconv>

namespace gmc::tool {

void add_data_options(CLI::App& app, DataOptions& o, bool required) {
  app.add_option("--data", o.spec, required ? "KIND:PATH; kinds are listed below" : "as for `gmc train`")
      ->required(required)
      ->type_name("KIND[:PATH]");
  app.add_option("--prepare", o.prepare,
                 fmt::format("what is done to samples, as pad=32,range=-1:1{}; if not given, what the model's "
                             "configuration says in its field prepare",
                             required ? " (listed below)" : ""))
      ->type_name("LIST");
}

std::string data_help() {
  // `WORDS  text`, the texts below each other.
  const auto aligned = [](const std::string& line) {
    const size_t end = line.find("  "), begin = line.find_first_not_of(' ', end);
    return fmt::format("\n  {:<18} {}", line.substr(0, end), line.substr(begin));
  };
  std::string text = "\nData:";
  for (const auto& kind : data::dataset_kinds()) text += aligned(kind.help);
  text +=
      "\nAn f32 input takes the samples, an i64 input `labels` the labels; `ids`, `targets` and `src` take symbols.";
  text += "\n\nPreparations, which are made in this order:";
  for (const std::string& one : data::preparations()) text += aligned(one);
  return text;
}

std::string prepare_of(const DataOptions& o, const Model& model) {
  return o.prepare ? *o.prepare : model.field("prepare");
}

std::unique_ptr<data::Dataset> load_data(const DataOptions& o, const Model& model) {
  auto data = data::load_dataset(o.spec, prepare_of(o, model));
  const auto number = [&](const char* name) {
    const std::string field = model.field(name);
    int64_t n = 0;
    std::from_chars(field.data(), field.data() + field.size(), n);
    return n;
  };
  const int64_t vocab = number("vocab"), classes = number("classes");
  if (classes > 0 && data->classes() > classes)
    fail("data {} has labels of {} classes, {} takes {}: --set classes={}", o.spec, data->classes(), model.name(),
         classes, data->classes());
  if (const data::Vocabulary* v = data->vocabulary(); v && vocab > 0 && v->size() > vocab)
    fail("data {} has {} symbols, {} takes {}: --set vocab={}", o.spec, v->size(), model.name(), vocab, v->size());
  return data;
}

}  // namespace gmc::tool
