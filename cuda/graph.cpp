// Recording a step, and launching its graph.
#include "cuda/graph.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "core/capture.h"
#include "cuda/check.h"
#include "dnn/error.h"

namespace dnn::cuda {

namespace {

struct GraphCloser {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
using OwnedGraph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, GraphCloser>;

// While it lives, memory comes from the general stock: what is written before a graph runs must not lie where the step,
// or another one of its pool, has released memory before, since the graph would spoil it.
class GeneralStock {
 public:
  GeneralStock(Allocator& memory, Allocator::Pool* pool) : memory_(memory), pool_(pool) { memory_.leave(); }
  ~GeneralStock() { memory_.enter(pool_); }
  GeneralStock(const GeneralStock&) = delete;
  GeneralStock& operator=(const GeneralStock&) = delete;

 private:
  Allocator& memory_;
  Allocator::Pool* const pool_;
};

}  // namespace

// ---- what is recorded -----------------------------------------------------------------------------------------------

Recording::~Recording() {
  for (const auto& block : blocks_) context_.memory().release(block->data);
  for (LabelFault* const slot : checks_) context_.release_check(slot);
}

uint64_t Recording::next_number() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// Memory kept as long as the recording.
void* Recording::take(int64_t bytes) {
  const GeneralStock stock(context_.memory(), pool_);
  void* const data = context_.memory().allocate(bytes);
  kept_.emplace_back(data, [this](void* memory) { context_.memory().release(memory); });
  return data;
}

const void* Recording::varying(int64_t bytes, std::function<void(void* to)> make) {
  const int64_t size = (bytes + 15) / 16 * 16;
  if (blocks_.empty() || blocks_.back()->used + size > VaryingBytes::size) {
    const GeneralStock stock(context_.memory(), pool_);
    blocks_.push_back(std::make_unique<Block>());
    blocks_.back()->data = context_.memory().allocate(VaryingBytes::size);
  }
  Block& block = *blocks_.back();
  const int64_t at = std::exchange(block.used, block.used + size);
  std::byte* const to = block.values.bytes.data() + at;
  make(to);
  detail::repeat_later([make = std::move(make), to] { make(to); });
  return static_cast<const std::byte*>(block.data) + at;
}

const void* Recording::constant(std::span<const std::byte> bytes) {
  constants_.push_back({take(static_cast<int64_t>(bytes.size())), {bytes.begin(), bytes.end()}});
  return constants_.back().data;
}

void Recording::prepare() {
  for (const Constant& constant : constants_)
    context_.to_device(constant.data, constant.bytes.data(), static_cast<int64_t>(constant.bytes.size()));
  constants_.clear();
  for (const auto& block : blocks_) {
    if (block->was_sent && block->sent.bytes == block->values.bytes) continue;
    set_varying(context_, block->data, block->values, block->used);
    block->sent = block->values;
    block->was_sent = true;
  }
  for (LabelFault* const slot : checks_) context_.repeat_check(slot);
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

// A graph that still runs is destroyed by the driver when it is done.
StepGraph::~StepGraph() { cudaGraphExecDestroy(exec_); }

void StepGraph::launch() {
  Context::of(context_.index());  // becomes the current one, and no other thread records
  recording_->prepare();
  DNN_CUDA_CHECK(cudaGraphLaunch(exec_, context_.stream()));
  context_.called("cudaGraphLaunch");
}

std::string why_no_capture(int index) {
  Context& context = Context::of(index);
  if (context.recording() != nullptr) return "this thread records another step";
  return context.waits_after_launches() ? "DNN_SYNC_LAUNCH=1 waits after each launch" : "";
}

void begin_capture(int index, Allocator::Pool* pool) {
  Context& context = Context::of(index);
  context.begin_recording(std::make_unique<Recording>(context, pool));
}

std::unique_ptr<StepGraph> end_capture(int index) {
  Context& context = Context::of(index);
  cudaGraph_t ended = nullptr;
  cudaError_t error = cudaSuccess;
  std::unique_ptr<Recording> recording = context.end_recording(ended, error);
  const OwnedGraph graph(ended);
  if (error != cudaSuccess) throw_failure(error, "cudaStreamEndCapture");
  size_t nodes = 0;
  DNN_CUDA_CHECK(cudaGraphGetNodes(ended, nullptr, &nodes));
  cudaGraphExec_t exec = nullptr;
  DNN_CUDA_CHECK(cudaGraphInstantiateWithFlags(&exec, ended, 0));
  return std::make_unique<StepGraph>(context, std::move(recording), exec, static_cast<int64_t>(nodes));
}

void abandon_capture(int index) noexcept {
  Context* const context = Context::existing(index);
  if (context == nullptr || context->recording() == nullptr) return;
  cudaGraph_t ended = nullptr;
  cudaError_t error = cudaSuccess;
  const std::unique_ptr<Recording> recording = context->end_recording(ended, error);
  const OwnedGraph graph(ended);
  cudaGetLastError();  // what spoiled the capture has been reported
}

}  // namespace dnn::cuda
