// What training reads: `--data KIND[:PATH]`. Every batch is a function of (seed, step): nothing is remembered between
// draws, so a run that is resumed sees what an uninterrupted one sees.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/data/vocabulary.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gmc::data {

enum class Part { train, validate };

// How the samples of a batch are chosen; B is the batch size, n the size of the part.
enum class Order {
  shuffled,    // sample b of step s is number (s B + b) of a sequence of keyed permutations, one an epoch
  uniform,     // with replacement: sample b by word b of the stream (seed, "data/train" or "data/validate", step)
  sequential,  // number (s B + b) modulo n
};

struct Draw {
  Part part = Part::train;
  Order order = Order::shuffled;
  uint64_t seed = 0, step = 0;
};

// An input of an entry, [B, ...].
struct Slot {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

// The distribution of a made set of points: a mixture of equal normal distributions, if `centres` holds any.
struct Truth {
  std::vector<double> centres;  // x, y of each
  double deviation = 0;
  std::optional<double> entropy;  // in nats
};

class Dataset {
public:
  virtual ~Dataset() = default;

  const std::string& kind() const { return kind_; }
  void set_kind(std::string kind) { kind_ = std::move(kind); }
  // `9000 train, 1000 validate`.
  virtual std::string describe() const = 0;
  // How many samples the inputs take from a part before they repeat; 0: they never do. Throws `Error`, naming the
  // shapes, if the data do not fit the inputs, or a training batch is larger than the training part.
  virtual int64_t epoch(Part, const std::vector<Slot>&) const = 0;
  // Fills one array for each input. Throws as `epoch`.
  virtual void draw(const Draw&, const std::vector<Slot>&, const std::vector<void*>&) const = 0;

  // Of symbols: how many there are and what they are called. Null for numbers.
  virtual const Vocabulary* vocabulary() const { return nullptr; }
  // What is black and white where samples are images.
  virtual std::pair<double, double> range() const { return {0, 1}; }
  // By how much bits per dimension of the inputs differ from those of data of 256 levels; nothing: the samples are not
  // spread over intervals that long (`dequantise`), so a density says nothing of them.
  virtual std::optional<double> bits_of_a_level() const { return std::nullopt; }
  virtual const Truth* truth() const { return nullptr; }
  // A hash of all samples; 0: they are made as they are drawn.
  virtual uint64_t content() const { return 0; }
  // One more than the largest label; 0: there are none.
  virtual int64_t classes() const { return 0; }

private:
  std::string kind_;
};

struct DatasetKind {
  std::string name;
  std::string help;  // one line
};
// The kinds that `load_dataset` knows, in the order in which help prints them.
std::vector<DatasetKind> dataset_kinds();

// `spec`: KIND or KIND:PATH of the list above. `prepare`: see prepare.h; empty: as the data are. Throws `Error`, as a
// mistake of usage for an unknown kind or preparation and for a missing path; a file that is malformed is refused with
// its name, offset and field.
std::unique_ptr<Dataset> load_dataset(const std::string& spec, const std::string& prepare = {});

// Of bytes, going on from the hash of others.
uint64_t hash_of(std::span<const std::byte> bytes, uint64_t before = 0);

// The number of sample b of `batch` among the `count` of its part.
int64_t chosen(const Draw&, int64_t count, int64_t batch, int64_t b);

}  // namespace gmc::data
