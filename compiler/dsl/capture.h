// The entry that is being captured: what the functions of the DSL write to. For implementers of ops and optimisers;
// models include program.h.
#pragma once

#include "compiler/dsl/program.h"
#include "compiler/graph/op.h"

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gmc::dsl {

graph::Location location_of(const std::source_location&);

class Capture {
public:
  Capture(Program&, const std::string& name, const EntryOptions&, graph::Location);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  // Commits the states and gives the entry to the program.
  void finish();

  // Of the region that is being captured, if any, otherwise of the entry.
  const std::shared_ptr<graph::Graph>& graph() const { return frames_.empty() ? graph_ : frames_.back().graph; }
  Program& program() const { return program_; }
  DType precision() const { return precision_; }

  // The latest version of a state; throws `Error` if it is not a state of this program.
  Tensor read(const Parameter&, const graph::Location&);
  void update(const Parameter&, const Tensor&, const graph::Location&);
  Tensor input(const std::string& name, graph::TensorType, const graph::Location&);
  void output(const std::string& name, const Tensor&, const graph::Location&);
  // The stream of a draw named `name` in the current scope; throws `Error` if it is drawn twice.
  uint64_t draw_stream(const std::string& name, const graph::Location&);
  // A state of an optimiser; that of an earlier entry if there is one of this name.
  Parameter optimizer_state(const std::string& name, const Shape&, const Initialiser& = {});
  // Throws `Error` if an optimiser of this name was used in this entry.
  void use_optimizer(const std::string& name, const graph::Location&);
  void record_gradient(const std::string& parameter, graph::Value gradient);

  // `at`, or the call of the library's function that is running.
  graph::Location place(const graph::Location& at) const { return pinned ? *pinned : at; }
  // The tensor as a value of graph(): one from around a region becomes an argument of it. Throws `Error` unless it is a
  // value of this entry that can be seen here.
  Tensor adopt(const Tensor&, const std::string& what, const graph::Location&);

  // A region being captured: what it uses from around is listed with the arguments that stand for it.
  struct Frame {
    std::string what;  // `loop`
    std::shared_ptr<graph::Graph> graph;
    std::vector<std::pair<graph::Value, graph::Value>> captured;  // of the graph around, of this one
  };
  void enter(const std::string& what, const std::string& name);
  Frame leave();

  std::optional<graph::Location> pinned;

private:
  void lower_precision();
  void check_member(const Parameter&, const graph::Location&) const;
  const std::shared_ptr<graph::Graph>& graph_at(size_t level) const {
    return level == 0 ? graph_ : frames_[level - 1].graph;
  }
  [[noreturn]] void refuse_foreign(const Tensor&, const std::string& what, const graph::Location&) const;
  void refuse_inside(const std::string& what, const graph::Location&, const std::string& help) const;
  [[noreturn]] void refuse_twice(const std::string& what, const graph::Location& at,
                                 const graph::Location& first) const;

  Program& program_;
  std::shared_ptr<graph::Graph> graph_;
  std::vector<Frame> frames_;
  std::vector<std::shared_ptr<graph::Graph>> left_;  // graphs of regions that were captured
  graph::Location location_;
  DType precision_;
  struct Version {
    Tensor value;          // what a read yields
    graph::Value updated;  // what the entry commits; invalid while only read
  };
  std::map<size_t, Version> versions_;  // by index of the state
  std::map<std::string, graph::Location> inputs_, outputs_, draws_, optimizers_;
  std::vector<std::pair<std::string, graph::Value>> gradients_;
};

// Null outside an entry.
Capture* current_or_null();
// Throws `Error`: `WHAT outside an entry`.
Capture& current(const std::string& what, const graph::Location& at);
// Where an error at `where` points: there, or at the call of the library's function that is running.
graph::Location place_of(const std::source_location& where);

// A call of an op in the user's model: checks that operands belong to the entry, turns numbers into constants of the
// tensors' dtype and sets location and operator for whatever is built.
class Call {
public:
  Call(const std::string& name, std::initializer_list<At> operands, char symbol = 0)
      : Call(name, std::vector<At>(operands), symbol) {}
  // Throws `Error` if there are no operands.
  Call(const std::string& name, const std::vector<At>& operands, char symbol = 0);
  const graph::Var& operator[](size_t i) const { return x_[i]; }
  const std::vector<graph::Var>& all() const { return x_; }
  Tensor result(graph::Var) const;
  // Throws `Error` `NAME: message` at the call.
  [[noreturn]] void fail(const std::string& message, const std::string& help = {}) const;

private:
  std::string name_;
  std::shared_ptr<graph::Graph> graph_;
  std::vector<graph::Var> x_;
};

// A named draw: `distribution` is that of `op`, the op of draws.
Tensor draw(const graph::OpDef& op, const std::string& distribution, const std::string& name, const Shape&,
            const std::source_location&);

}  // namespace gmc::dsl
