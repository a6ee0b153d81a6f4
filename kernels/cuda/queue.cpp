#include "kernels/cuda/queue.h"

#include <algorithm>

#include "kernels/cuda/check.h"

namespace tandem::cuda {

void Graphs::flush_all() {
    for (Queue* queue : queues) queue->flush();
}

Queue::Queue(NativeStream stream, Graphs* graphs) : stream_(stream), graphs_(graphs) {
    if (graphs_ != nullptr) graphs_->queues.push_back(this);
}

Queue::~Queue() {
    if (graphs_ != nullptr) std::erase(graphs_->queues, this);
}

// Before a call rather than behind it, so that what it belongs to has been noted.
void Queue::make_room() {
    if (calls_.size() >= kMost) flush();
}

Status Queue::enqueue(const Launch& how, const KernelCall& call) {
    if (graphs_ == nullptr) return enqueue_now(how, call, stream_);
    make_room();
    calls_.add(how, call);
    return {0, this};
}

Status Queue::enqueue(const FixedCall& call) {
    if (graphs_ == nullptr) return call.enqueue(call.bytes.data(), stream_);
    make_room();
    calls_.add(call);
    return {0, this};
}

void Queue::note(std::string_view what, std::span<const Tensor> operands, const std::source_location& where) {
    if (note_count_ == notes_.size()) notes_.emplace_back();
    Note& note = notes_[note_count_++];
    note.end = calls_.size();
    note.what = what;
    note.operands.assign(operands.begin(), operands.end());
    note.where = where;
}

void Queue::flush() {
    if (calls_.empty()) return;
    const GraphCache::Failed failed = graphs_->cache.run(calls_, stream_);
    struct Forget {
        ~Forget() {
            queue.calls_.clear();
            queue.note_count_ = 0;
        }
        Queue& queue;
    } const forget{*this};
    if (!failed.status.ok()) fail_as_noted(failed);
}

void Queue::fail_as_noted(const GraphCache::Failed& failed) const {
    const std::string_view hint = failed.step.empty() ? "" : "; device.graphs = off does without";
    if (!failed.call) {
        fail_with(failed.status, fmt::format("{} of {} calls, {} to {}{}", failed.step, calls_.size(), calls_.name(0),
                                             calls_.name(calls_.size() - 1), hint));
    }
    const auto end = notes_.begin() + static_cast<std::ptrdiff_t>(note_count_);
    const auto note = std::find_if(notes_.begin(), end, [&](const Note& one) { return *failed.call < one.end; });
    const std::string what = note == end ? calls_.name(*failed.call) : note->what;
    const std::string words = failed.step.empty() ? what : fmt::format("{} ({}{})", what, failed.step, hint);
    if (note == end) fail_with(failed.status, words);
    fail_with(failed.status, words, note->operands, note->where);
}

Status enqueue(const Launch& how, const KernelCall& call, StreamHandle stream) { return stream->enqueue(how, call); }

}  // namespace tandem::cuda
