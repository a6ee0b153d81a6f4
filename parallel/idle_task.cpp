#include "parallel/idle_task.h"

#include <algorithm>

namespace tandem {
namespace {

std::vector<IdleTask*> tasks;

}  // namespace

IdleTask::IdleTask() { tasks.push_back(this); }
IdleTask::~IdleTask() { std::erase(tasks, this); }

bool IdleTask::any_pending() {
    return std::any_of(tasks.begin(), tasks.end(), [](const IdleTask* task) { return task->pending(); });
}

void IdleTask::look_at_all() {
    for (IdleTask* task : tasks) task->look();
}

}  // namespace tandem
