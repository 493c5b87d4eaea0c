// What a checkpoint holds beside the state: all that the rest of a run depends on.
#pragma once

#include "compiler/package/session.h"
#include "runtime/data/dataset.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/command.h"

#include <optional>
#include <string>

namespace gmc::tool {

struct Position {
  int64_t step = 0;  // steps done; with the seed this is also the place in the data
  uint64_t seed = 0;
  std::string data;  // kind and sizes of the data set
  std::string prepare, vocabulary;
  std::string target;    // a hash of what code was generated for: names of machines are not for files
  uint64_t content = 0;  // of the data set
};

// Written atomically.
void save_checkpoint(const std::string& path, const package::Session&, const Model&, const Position&);

// Loads the whole state. Throws `Error` if the file is no checkpoint, or is one of another model, size or
// configuration (naming what differs), of another plan, seed, data set or vocabulary.
int64_t resume_checkpoint(const std::string& path, package::Session&, const Model&, const Position& now);

// What a file's metadata say that does not fit the model: `a checkpoint of ar-gpt, not of ar-lstm`, or the fields of
// the configuration that differ; empty if nothing does.
std::string strangeness(const files::Metadata&, const Model&);
// Leaves out what optimisers of the run remember that the model has not: a schedule, say, which a program that only
// samples is not configured with.
void drop_foreign_optimizers(TensorMap& weights, const files::Metadata&, const Model&);

// What a file of weights says beside them; nothing for an empty path.
files::Metadata metadata_of(const std::string& path);
// How the data of a checkpoint's training were prepared; nothing of a file that is no checkpoint.
std::optional<std::string> preparation_of(const files::Metadata&);
// The vocabulary in a file's metadata, if it has one.
std::optional<data::Vocabulary> vocabulary_of(const files::Metadata&, const std::string& path);
// Throws `Error` if it has one and the data have another, or none.
void check_vocabulary(const std::string& path, const data::Dataset&);

}  // namespace gmc::tool
