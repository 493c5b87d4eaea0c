// --data and --prepare, as verbs that read data have them.
#pragma once

#include "runtime/data/dataset.h"
#include "tools/gmc/command.h"

#include <optional>

namespace gmc::tool {

struct DataOptions {
  std::string spec;
  std::optional<std::string> prepare;
};
void add_data_options(CLI::App&, DataOptions&, bool required = true);
// The kinds and preparations, for the foot of a verb's help.
std::string data_help();

// What --prepare says, or else the field `prepare` of the model's configuration.
std::string prepare_of(const DataOptions&, const Model&);
// Throws `Error` if the data have more symbols than the model's field `vocab`, or more classes than `classes`, unless
// that is 0.
std::unique_ptr<data::Dataset> load_data(const DataOptions&, const Model&);

}  // namespace gmc::tool
