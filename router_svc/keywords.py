"""PURE: which agent a message names by itself, for when no model can be asked.

Only whole words that leave no doubt, in a few languages; whatever says nothing, or
speaks of two kinds alike, is left to the default.
"""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

_WORDS: Final[dict[str, str]] = {
    "task_agent": """
        task tasks todo todos overdue assignee assign chore chores
        aufgabe aufgaben überfällig tarea tareas pendiente pendientes tâche tâches
        tarefa tarefas compito compiti attività taak taken zadanie zadania
        задача задачи задачу задач görev görevler
    """,
    "project_agent": """
        project projects client clients portfolio
        projekt projekte projekten kunde kunden proyecto proyectos cliente clientes
        projet projets projeto projetos progetto progetti project projecten projekty
        проект проекты проекта проектов proje projeler
    """,
    "note_agent": """
        note notes notebook memo memos
        notiz notizen nota notas apunte apuntes notities notitie anotação anotações
        appunto appunti notatka notatki заметка заметки заметку заметок
    """,
    "checkpoint_agent": """
        checkpoint checkpoints milestone milestones timeline roadmap
        meilenstein meilensteine hito hitos jalon jalons traguardo traguardi
        mijlpaal mijlpalen веха вехи этап этапы
    """,
}

# Scripts that put no space between words: these count wherever they stand.
_RUNS: Final[dict[str, str]] = {
    "task_agent": "任务 任務 待办 待辦 タスク 할일 작업",
    "project_agent": "项目 專案 プロジェクト 프로젝트",
    "note_agent": "笔记 筆記 ノート メモ 노트 메모",
    "checkpoint_agent": "检查点 里程碑 チェックポイント マイルストーン 마일스톤 체크포인트",
}


def _folded(text: str) -> str:
    """Without case, accents, and the hyphen of "to-do"."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("-", "")


_WORD_OF: Final = {
    word: agent for agent, words in _WORDS.items() for word in _folded(words).split()
}
_RUN_OF: Final = {run: agent for agent, runs in _RUNS.items() for run in _folded(runs).split()}


def guess(message: str, offered: Collection[str]) -> str | None:
    """The one agent of `offered` that the message speaks of most, or None where none is clear."""
    text = _folded(message)
    hits = [_WORD_OF[word] for word in re.findall(r"\w+", text) if word in _WORD_OF]
    hits += [agent for run, agent in _RUN_OF.items() if run in text]
    counts = {agent: hits.count(agent) for agent in offered if agent in hits}
    most = max(counts.values(), default=0)
    best = [agent for agent, count in counts.items() if count == most]
    return best[0] if len(best) == 1 else None
