"""How does a study of my own files begin?"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path

import pandas as pd
import yaml

from sqm import files, sources
from sqm.checks import Problem
from sqm.clock import Calendar
from sqm.masking import spans
from sqm.roles import KNOWN, NUMBERED, Table

# Names that columns bear in English, Spanish and Chinese exports, the likeliest first. A name fits
# if it is one of these, begins or ends with one, or (Chinese) holds one; "=" allows only the first.
PLACES = {
    "site": "site site_id branch store office location centre center clinic hospital facility"
    " sucursal oficina sede centro tienda 网点 门店 分店 机构",
    "region": "region state province county area zone provincia estado comunidad zona 地区 省份"
    " 城市",
    "channel": "channel channel_in submitted_via contact_channel medium medio canal 渠道 来源",
    "language": "language lang idioma lengua 语言",
    "agent": "agent agent_id advisor operator employee handler resource agente asesor operador"
    " empleado 客服 坐席",
}
CONTACT = "contact_id contact call_id interaction_id id_contacto id_llamada 联系编号 通话编号"
TEXTS = (
    "text complaint_text narrative description comments comment message body review verbatim"
    " complaint_what_happened texto descripcion comentario comentarios relato hechos mensaje"
    " 投诉内容 内容 评论 意见"
)
NAMES: dict[str, dict[str, str]] = {
    "survey": {
        "respondent": "respondent respondent_id response_id participant customer_id id_encuestado"
        " encuestado =id =rownames 受访者 问卷编号 =编号",
        "answered": "answered answered_at submitted_at completed_at response_date survey_date"
        " fecha_respuesta fecha_encuesta =date =fecha =timestamp 答卷时间 =日期 =时间",
        "contact": CONTACT,
        "satisfaction": "overall_satisfaction satisfaction osat csat satisfaccion_general"
        " satisfaccion_global satisfaccion 总体满意度 满意度",
        "recommend": "recommend would_recommend likelihood_to_recommend nps recomendaria"
        " recomendacion recomienda 推荐",
        "weight": "=weight =weights =peso =ponderacion =factor_expansion 权重",
        "text": TEXTS,
        **PLACES,
    },
    "complaints": {
        "complaint": "complaint_id complaint case_id ticket_id case_number ticket folio expediente"
        " id_queja id_reclamo id_reclamacion numero_queja reference =id 投诉编号 工单号 单号 编号",
        "contact": CONTACT,
        "opened": "opened opened_at date_received received received_at date_opened open_date"
        " created created_at complaint_date date_of_complaint submitted_at fecha_ingreso"
        " fecha_apertura fecha_alta fecha_recepcion fecha_queja fecha_reclamo fecha_creacion"
        " =fecha =date =timestamp 投诉时间 投诉日期 创建时间 受理时间 =日期 =时间",
        "closed": "closed closed_at date_closed close_date closing_date resolved_at date_resolved"
        " resolution_date fecha_cierre fecha_resolucion fecha_solucion 关闭时间 结案时间 办结时间",
        "category": "category complaint_category issue motivo motivo_reclamacion categoria"
        " complaint_type topic subject tipo_reclamacion tipo_queja =type =tipo =cat 投诉类型 类别"
        " 分类",
        "reason": "reason root_cause cause causa sub_issue subcategory sub_category subcategoria"
        " 原因",
        "product": "product product_type service_type producto tipo_producto servicio 产品",
        "outcome": "outcome result status company_response response resultado estado_procesal"
        " estatus estado_queja resolucion 处理结果 状态 结果",
        "severity": "severity seriousness priority gravedad severidad prioridad 严重程度 优先级",
        "amount": "amount amount_claimed claimed monto_reclamado monto importe cuantia 金额",
        "cost": "=cost =cost_eur =cost_usd =cost_gbp =cost_mxn =handling_cost =costo =coste"
        " =compensation =compensacion =成本",
        "text": TEXTS,
        **PLACES,
    },
    "operations": {
        "contact": CONTACT + " ticket_id case_id case session_id =id =编号",
        "arrived": "arrived arrived_at arrival arrival_time call_time call_start start_time"
        " started_at =date_time =datetime =timestamp time_timestamp created_at hora_llegada llegada"
        " fecha_hora fecha_llamada =fecha =date =time =period 到达时间 来电时间 =时间 =日期",
        "abandoned": "abandoned abandon hung_up abandonada abandono outcome disposition result"
        " status resultado estado 放弃",
        "wait_s": "wait waiting wait_time waiting_time queue_time time_in_queue espera"
        " tiempo_espera 等待时间 等待",
        "service_s": "service service_time handle_time handling_time talk_time call_duration"
        " duration aht atencion tiempo_atencion duracion 服务时间 处理时间 通话时长",
        "resolved": "resolved fcr first_contact_resolution resuelto resuelta 是否解决 解决",
        "reason": "reason call_reason contact_reason motivo topic category =type 原因 类别",
        **PLACES,
    },
}
UNITS = {
    "s": "s sec secs second seconds seg segundos 秒",
    "min": "min mins minute minutes minutos 分钟",
    "h": "h hr hrs hour hours hora horas 小时",
    "d": "d day days dia dias 天",
}
COUNTS = "calls count counts volume attendances llamadas cantidad 数量"
NULLS = "na n/a #n/a null none nan nd n/d s/d - -- . 无"
SCALES = ((1, 5), (1, 7), (1, 10), (0, 10), (1, 4), (1, 6))
CODES = frozenset({0, -1, 9, -9, 98, 99, -98, -99, 999, -999})
PAIRS = {"p": "e", "per": "exp", "perception": "expectation", "percepcion": "expectativa"}
GONE = "abandon abandoned abandonada abandono hung_up lost hangup 放弃"
SERVED = "served answered handled completed attended atendida atendido contestada 接通"
COMMON = {
    "en": {"the", "and", "of", "to", "is", "was", "my", "not", "with", "for", "have", "this"},
    "es": {"el", "la", "de", "que", "y", "en", "los", "no", "por", "con", "se", "una", "del"},
}
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
STEMMED = r"(.*?)_?\d+"  # q7, trust_03
PEOPLE = ("agent", "respondent", "customer")  # roles whose values are people
SAMPLE = 5_000  # rows that suffice to see what a column holds; dates are read in every row


@dataclass(frozen=True)
class Draft:
    """What was written.

    Attributes
    ----------
    parameters, dictionary : Path
        The study's YAML file and the description of its data.
    roles : dict
        Table to role to column, as guessed.
    """

    parameters: Path
    dictionary: Path
    roles: dict[str, dict[str, str]]


def draft(
    name: str,
    *,
    survey: Path | None = None,
    complaints: Path | None = None,
    operations: Path | None = None,
    root: Path,
) -> Draft:
    """Write a study's first parameters and dictionary from a person's own files.

    Parameters
    ----------
    name : str
        Letters, digits, ``-`` and ``_``, at most 64.
    survey, complaints, operations : Path, optional
        The files, one or more; they are read and left where they lie.
    root : Path
        The project, which has ``params/`` and ``data/``.

    Returns
    -------
    Draft

    Raises
    ------
    Problem
        If the name cannot be a file's, no file is given or one cannot be
        read, or the study is already there.

    Notes
    -----
    A role is given to a column only where its name and its contents agree. A
    date is taken only if exactly one common format reads every row. All else
    stands in comments.
    """
    _need_name(name)
    given = {"survey": survey, "complaints": complaints, "operations": operations}
    files = {table: Path(path) for table, path in given.items() if path is not None}
    if not files:
        raise Problem("There is no file to begin with.", "give --survey, --complaints or both.")
    parameters, dictionary = root / "params" / f"{name}.yml", root / "data" / name / "README.md"
    for target in (parameters, dictionary):
        if target.exists():
            raise Problem(
                f"{target.relative_to(root)} is already there.",
                "choose another name, or move it away; nothing is overwritten.",
            )
    plans = [_plan(table, _shown_path(path, root), root) for table, path in files.items()]
    for target, text in (
        (parameters, _parameters(name, plans)),
        (dictionary, _dictionary(name, plans)),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as new:
            new.write(text)
    roles = {
        plan.name: {role: spec["column"] for role, spec in plan.roles.items() if "column" in spec}
        for plan in plans
    }
    return Draft(parameters, dictionary, roles)


def _need_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name.lower() in DEVICES:
        raise Problem(
            f"{name!r} cannot name a study.",
            "use letters, digits, - and _, at most 64, and no name that Windows keeps for devices.",
        )


def _shown_path(path: Path, root: Path) -> str:
    whole = path.expanduser().absolute()
    try:
        return whole.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path if path.is_absolute() or str(path).startswith("~") else whole.resolve())


# --- what a column holds ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Column:
    """One column of a person's file.

    ``nulls`` are words such as NA among numbers or dates; ``formats`` the ways
    in which every value can be read as a time; ``numbers`` its values if all
    are numbers.
    """

    name: str
    given: pd.Series
    rows: int
    nulls: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    numbers: pd.Series | None = None

    @cached_property
    def levels(self) -> int:
        return self.given.nunique()

    @cached_property
    def unlike(self) -> float:
        """Share of values that stand once for every time a value is given."""
        return self.levels / max(len(self.given), 1)

    @cached_property
    def words(self) -> float:
        """Mean length of a value, in words or (Chinese) characters halved."""
        some = self.given.head(SAMPLE)
        han = some.str.count(r"[\u4e00-\u9fff]") / 2
        return float((some.str.count(r"\S+") + han).mean()) if len(some) else 0.0

    @cached_property
    def kind(self) -> str:
        if not len(self.given):
            return "empty"
        if self.formats:
            return "time"
        if self.numbers is not None:
            return "number"
        if self.words >= 6 and self.levels > 20 and self.unlike > 0.2:
            return "text"
        return "identifier" if self.unlike > 0.95 and self.levels > 20 else "category"

    @property
    def missing(self) -> float:
        return 1 - len(self.given) / max(self.rows, 1)


def _column(name: str, cells: pd.Series, decimal: str) -> _Column:
    text = cells.str.strip()
    given = text[text != ""]
    null = given.str.casefold().isin(NULLS.split())
    bare = given[~null]
    nulls = tuple(sorted(given[null].unique()))
    if len(bare):
        numbers = _numbers(bare, decimal)
        formats = _formats(bare) if numbers is None or bare.str.len().eq(8).all() else ()
        numbers = None if formats else numbers
        if formats or numbers is not None:
            return _Column(name, bare, len(cells), nulls, formats, numbers)
    return _Column(name, given, len(cells))


def _formats(given: pd.Series) -> tuple[str, ...]:
    """Formats that read every value, one of each that mean the same."""
    dated = r".*\d.*[-/.:年 ].*|(?:19|20)\d{6}"
    if not given.head(20).str.fullmatch(dated).all() or given.head(50).str.len().max() > 40:
        return ()
    reads: dict[str, pd.Series] = {}
    for pattern in sources.formats_that_read(given):
        if pattern == "ISO 8601":
            return (pattern,)
        times = pd.to_datetime(given, format=pattern)
        if not any(times.equals(other) for other in reads.values()):
            reads[pattern] = times
    return tuple(reads)


def _numbers(given: pd.Series, decimal: str) -> pd.Series | None:
    plain = given.str.fullmatch(rf"[+-]?\d+(?:{re.escape(decimal)}\d+)?(?:[eE][+-]?\d+)?")
    if not plain.all():
        return None
    return pd.to_numeric(given.str.replace(decimal, ".", regex=False))


def _decimal(cells: pd.DataFrame) -> str:
    """A comma if some column is numbers with a decimal comma, and none has a decimal point."""
    comma = point = False
    for column in cells:
        some = cells[column].head(SAMPLE).str.strip()
        some = some[some != ""]
        if not len(some) or not some.str.fullmatch(r"[+-]?\d+(?:[.,]\d+)?").all():
            continue
        comma |= bool(some.str.contains(",", regex=False).any())
        point |= bool(some.str.contains(".", regex=False).any())
    return "," if comma and not point else "."


# --- which role a column plays ------------------------------------------------------------------


@dataclass(eq=False)
class _Plan:
    """What is to be written of one table; ``unsettled`` says why a role is left out."""

    name: str
    path: str
    columns: list[_Column]
    decimal: str = "."
    copies: int = 0
    key: str | None = None
    roles: dict[str, dict] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    unsettled: dict[str, list[str]] = field(default_factory=dict)
    useless: str = ""
    scale: tuple[int, int] | None = None
    dimensions: dict[str, list[str]] = field(default_factory=dict)
    expectations: dict[str, str] = field(default_factory=dict)
    codes: list[int | str] = field(default_factory=list)

    def taken(self) -> set[str]:
        """Columns that have a role or are items."""
        items = [item for group in self.dimensions.values() for item in group]
        roles = [spec["column"] for spec in self.roles.values() if "column" in spec]
        return {*roles, *items, *self.expectations.values()}

    def described(self) -> dict:
        """The table's entry under ``data``, as YAML will read it back."""
        entry: dict = {"path": self.path}
        if self.decimal != ".":
            entry["decimal"] = self.decimal
        if self.key:
            entry["key"] = self.key
        if self.codes:
            entry["missing_answers"] = list(self.codes)
        if self.scale:
            entry["scale"] = list(self.scale)
        entry["roles"] = dict(self.roles)
        if self.dimensions:
            entry["dimensions"] = {name: list(group) for name, group in self.dimensions.items()}
        if self.expectations:
            entry["expectations"] = dict(self.expectations)
        return entry


def _plan(name: str, path: str, root: Path) -> _Plan:
    cells = files.texts(Table(path=path, roles={"any": "any"}), name, root=root)
    decimal = _decimal(cells)
    columns = [_column(str(column), cells[column], decimal) for column in cells]
    plan = _Plan(name, path, columns, decimal, copies=int(cells.duplicated().sum()))
    plan.useless = _not_one_a_row(plan) if name == "operations" else ""
    for role in NAMES[name]:
        _give(role, plan)
    if name != "operations":
        _longest_text(plan)
    if name == "survey":
        _find_items(plan)
    _hint(plan)
    _mark_personal(plan)
    _derive(plan)
    _keep_what_reads(plan, root)
    return plan


def _give(role: str, plan: _Plan) -> None:
    """Give ``role`` to the best-named free column that can play it."""
    for column in _candidates(NAMES[plan.name][role], plan):
        spec, reason = _settled(role, column, plan)
        if spec is not None:
            plan.roles[role] = {"column": column.name, **spec}
            plan.remarks[role] = reason
            plan.unsettled.pop(role, None)
            return
        plan.unsettled.setdefault(role, []).append(f"{_quoted(column.name)}: {reason}")


def _candidates(names: str, plan: _Plan) -> list[_Column]:
    taken = plan.taken()
    ranked = []
    for place, column in enumerate(plan.columns):
        rank = _rank(_simple(column.name), names.split())
        if rank is not None and column.name not in taken:
            ranked.append((rank, place, column))
    return [column for *_, column in sorted(ranked, key=lambda each: each[:2])]


def _rank(name: str, names: list[str]) -> tuple[int, int] | None:
    """How well a column's name fits: wholly, by its beginning or end, or not (None)."""
    found = []
    for place, known in enumerate(names):
        known, exact = known.removeprefix("="), known.startswith("=")
        edge = name.startswith(known + "_") or name.endswith("_" + known)
        if known in (name, _bare(name)):
            found.append((0, place))
        elif not exact and (edge or (not known.isascii() and known in name)):
            found.append((1, place))
    return min(found, default=None)


def _simple(name: str) -> str:
    """Lower case without accents, words joined by ``_``.

    Examples
    --------
    >>> _simple("Fecha de Atención"), _simple("DateTime"), _simple("case:concept:name")
    ('fecha_atencion', 'date_time', 'case_concept_name')
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    plain = unicodedata.normalize("NFKD", split.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = re.split(r"[\W_]+", plain)
    return "_".join(word for word in words if word and word not in ("de", "del", "la", "the", "of"))


def _bare(name: str) -> str:
    """A simple name without the unit at its end."""
    head, _, tail = name.rpartition("_")
    return head if head and _unit(tail) else name


def _unit(word: str) -> str | None:
    return next((unit for unit, words in UNITS.items() if word in words.split()), None)


def _settled(role: str, column: _Column, plan: _Plan) -> tuple[dict | None, str]:
    """The options with which a column can play a role, or None; and a remark or the reason."""
    if column.kind == "empty":
        return None, "it is blank in every row"
    needed = KNOWN[plan.name][role]
    exact = _bare(_simple(column.name)) in NAMES[plan.name][role].replace("=", "").split()
    if plan.name == "survey" and needed == "category" and column.numbers is not None and not exact:
        return None, "its numbers look like answers"
    settle = {
        "time": _as_time,
        "number": _as_number,
        "flag": _as_flag,
        "identifier": _as_identifier,
        "text": _as_text,
        "category": _as_category,
    }[needed]
    return settle(role, column)


def _as_time(role: str, column: _Column) -> tuple[dict | None, str]:
    if not column.formats:
        return None, "no one common format reads every row as a date or time"
    if len(column.formats) > 1:
        both = " and ".join(f'"{pattern}"' for pattern in column.formats)
        return None, f"{both} read every row; say which: {{column: ..., format: ...}}"
    spec: dict = {} if column.formats[0] == "ISO 8601" else {"format": column.formats[0]}
    return _with_nulls(spec, column)


def _as_number(role: str, column: _Column) -> tuple[dict | None, str]:
    if column.numbers is None:
        return None, f"it holds words ({column.levels} different), where a number is needed"
    spec: dict = {}
    if role.endswith("_s"):
        unit = next((u for u in map(_unit, _simple(column.name).split("_")[::-1]) if u), None)
        if unit is None:
            return None, "its name has no unit; add it: {column: ..., unit: s} (or min, h)"
        spec["unit"] = unit
    if role in ("satisfaction", "recommend"):
        scale, codes = _scale(column.numbers)
        if role == "recommend" and scale == (1, 10):
            scale = (0, 10)  # as "how likely are you to recommend us" is asked
        if scale is None:
            return None, "its answers fit no usual scale; add it with its scale: [low, high]"
        spec["scale"] = list(scale)
        if codes:
            spec["missing"] = codes
    return _with_nulls(spec, column)


def _as_flag(role: str, column: _Column) -> tuple[dict | None, str]:
    words = sorted(column.given.str.casefold().unique()[:40])
    if set(words) <= {*sources.YES, *sources.NO}:
        return _with_nulls({}, column)
    simple = {word: _simple(word) for word in words}
    if role == "abandoned" and len(words) == 2:
        gone = [word for word in words if simple[word] in GONE.split()]
        served = [word for word in words if simple[word] in SERVED.split()]
        if len(gone) == len(served) == 1:
            return {"yes": gone, "no": served}, ""
    return None, (
        f"it has {column.levels} different values; say which mean what:"
        " {column: ..., yes: [...], no: [...]}"
    )


def _as_identifier(role: str, column: _Column) -> tuple[dict | None, str]:
    names_rows = role in ("complaint", "respondent")
    if column.kind == "text" or column.formats:
        return None, "it holds texts or dates"
    if names_rows and column.unlike < 0.95:
        return None, f"it has {column.levels} different values in {column.rows} rows"
    return {}, ""


def _as_text(role: str, column: _Column) -> tuple[dict | None, str]:
    if column.numbers is not None or column.formats or column.words < 3:
        return None, "it does not hold sentences"
    return {}, ""


def _as_category(role: str, column: _Column) -> tuple[dict | None, str]:
    if column.formats or column.kind in ("text", "identifier"):
        return None, f"it holds a {column.kind}, not a few groups"
    if column.numbers is not None and (column.numbers % 1).any():
        return None, "it holds measurements, not a few groups"
    if column.levels > max(200, 0.1 * len(column.given)):
        return None, f"it has {column.levels} different values, too many for groups"
    return {}, ""


def _with_nulls(spec: dict, column: _Column) -> tuple[dict, str]:
    if not column.nulls:
        return spec, ""
    spec["missing"] = [*spec.get("missing", []), *column.nulls]
    return spec, "confirm that these mean: no value"


def _longest_text(plan: _Plan) -> None:
    """Without a telling name, the one column of sentences is the customers' text."""
    texts = [each for each in plan.columns if each.kind == "text" and each.name not in plan.taken()]
    if "text" not in plan.roles and len(texts) == 1:
        plan.roles["text"] = {"column": texts[0].name}
        plan.remarks["text"] = "the only column of sentences"
        plan.unsettled.pop("text", None)
    elif "text" not in plan.roles and texts:
        names = ", ".join(_quoted(each.name) for each in texts[:5])
        plan.unsettled.setdefault("text", []).append(f"several columns hold sentences: {names}")


def _not_one_a_row(plan: _Plan) -> str:
    """Why a table of operations cannot be a list of contacts, if it cannot."""
    for column in plan.columns:
        if _simple(column.name) in COUNTS.split() and column.numbers is not None:
            return (
                f"{_quoted(column.name)} looks like a count: a row would be a period, not a"
                " contact, and waits cannot be had from it"
            )
    named = _candidates(NAMES["operations"]["contact"], plan)
    for column in named[:1]:
        if column.unlike < 0.9:
            return (
                f"{_quoted(column.name)} has {column.levels} different values in {column.rows}"
                " rows: a row looks like an event, not a contact; make one row of each contact"
            )
    return ""


def _hint(plan: _Plan) -> None:
    """Where a role is wanting, name the columns among which a person may find it."""
    free = [column for column in plan.columns if column.name not in plan.taken()]
    dates = ", ".join(_quoted(column.name) for column in free if column.formats)
    for role in ("answered", "arrived", "opened", "closed"):
        if role in NAMES[plan.name] and role not in plan.roles and dates:
            plan.unsettled.setdefault(role, []).append(f"dates without a role: {dates}")
    if plan.name == "survey" and plan.dimensions:
        low, high = plan.scale or (1, 5)
        for role in ("satisfaction", "recommend"):
            if role not in plan.roles and role not in plan.unsettled:
                plan.unsettled[role] = [
                    f"if an item asks for it: {role}: {{column: ..., scale: [{low}, {high}]}}"
                ]


def _derive(plan: _Plan) -> None:
    if {"opened", "closed"} <= set(plan.roles):
        plan.roles["resolution_d"] = {"type": "duration", "start": "opened", "end": "closed"}
        plan.remarks["resolution_d"] = "in days by the calendar; clock: working counts working days"
    for role in ("complaint", "contact", "respondent"):
        own = {"complaint": "complaints", "contact": "operations", "respondent": "survey"}[role]
        if role in plan.roles and plan.name == own:
            plan.key = role


def _mark_personal(plan: _Plan) -> None:
    """Whoever serves or answers, and what reads like an address or a number of a person."""
    columns = {column.name: column for column in plan.columns}
    for role, spec in plan.roles.items():
        if KNOWN[plan.name][role] not in NUMBERED:
            continue
        if role in PEOPLE or _names_people(columns[spec["column"]]):
            spec["personal"] = True
            said = plan.remarks.get(role, "")
            mark = "people, so read under numbers; take the mark away if they are none"
            plan.remarks[role] = f"{said}; {mark}" if said else mark


def _names_people(column: _Column) -> bool:
    """Most of its values are e-mail addresses, telephone numbers or the like."""
    kinds = {"e-mail", "card", "account", "id"}  # a phone in digits alone may be any number
    some = column.given.head(200)
    met = [
        any(kind in kinds or (kind == "phone" and not value.isdigit()) for *_, kind in spans(value))
        for value in some
    ]
    return sum(met) > 0.5 * len(met)


def _keep_what_reads(plan: _Plan, root: Path) -> None:
    """Read the table as drafted; what cannot be read is left out with the reason."""
    if plan.useless or not plan.taken():
        return
    if _refusal(plan.described(), plan, root) is None:
        return
    for role in [role for role, spec in plan.roles.items() if "column" in spec]:
        reason = _refusal(
            {"path": plan.path, "decimal": plan.decimal, "roles": {role: plan.roles[role]}},
            plan,
            root,
        )
        if reason is not None:
            plan.unsettled.setdefault(role, []).append(reason)
            del plan.roles[role]
    if not {"opened", "closed"} <= set(plan.roles):
        plan.roles.pop("resolution_d", None)
    plan.key = plan.key if plan.key in plan.roles else None
    if plan.taken():
        reason = _refusal(plan.described(), plan, root)
        plan.useless = "" if reason is None else f"it could not be read as drafted: {reason}"


def _refusal(described: dict, plan: _Plan, root: Path) -> str | None:
    try:
        table = Table.model_validate(described)
        sources.read(table, plan.name, root=root, calendar=Calendar())
    except ValueError as refused:
        said = re.sub(r"; values: \[.*?\]\)", ")", str(refused))  # they may be customers' own
        return " ".join(said.split())[:300]
    return None


# --- survey items -------------------------------------------------------------------------------


def _scale(numbers: pd.Series) -> tuple[tuple[int, int] | None, list[int]]:
    """The usual scale that holds all answers and is used to its top, and the codes beside it.

    Examples
    --------
    >>> _scale(pd.Series([1, 2, 5, 3]))
    ((1, 5), [])
    >>> _scale(pd.Series([0, 1, 2, 3, 4, 5]))  # 0 is more often "not applicable" than an answer
    ((1, 5), [0])
    >>> _scale(pd.Series([1.5, 2.0]))
    (None, [])
    """
    values = {float(value) for value in numbers.unique()}
    if any(value % 1 for value in values):
        return None, []
    for allowed in (frozenset(), CODES):
        for low, high in SCALES:
            outside = {int(value) for value in values if not low <= value <= high}
            inside = {value for value in values if low <= value <= high}
            if outside <= allowed and inside and max(inside) == high:
                return (low, high), sorted(outside)
    return None, []


def _find_items(plan: _Plan) -> None:
    found, scales = {}, Counter()
    for stem, group in _alike(plan).items():
        scale, codes = _scale(pd.concat([column.numbers for column in group]))
        if scale is None:
            _not_items(plan, group, "fit no usual scale; if they are answers, name it")
            continue
        nulls = sorted({null for column in group for null in column.nulls})
        found[stem] = (group, scale, [*codes, *nulls])
        scales[scale] += len(group)
    if not scales:
        return
    plan.scale = max(scales, key=lambda scale: (scales[scale], scale))
    for stem, (group, scale, codes) in found.items():
        if scale == plan.scale:
            plan.dimensions[stem] = [column.name for column in group]
            plan.codes += [code for code in codes if code not in plan.codes]
        else:
            _not_items(plan, group, f"on another scale, {scale[0]} to {scale[1]}")
    _pair_expectations(plan)
    if len(plan.dimensions) == 1:
        plan.dimensions = {"all_items": next(iter(plan.dimensions.values()))}


def _not_items(plan: _Plan, group: list[_Column], why: str) -> None:
    names = ", ".join(_quoted(column.name) for column in group[:4])
    more = " ..." if len(group) > 4 else ""
    plan.unsettled.setdefault("dimensions", []).append(f"{names}{more}: {why}")


def _alike(plan: _Plan) -> dict[str, list[_Column]]:
    """Groups of rating columns: numbered after one stem, or side by side on one scale."""
    taken = plan.taken()
    rated = [column for column in plan.columns if column.name not in taken and _rated(column)]
    stems: dict[str, list[_Column]] = {}
    for column in rated:
        match = re.fullmatch(STEMMED, _simple(column.name))
        if match:
            stems.setdefault(match[1] or "item", []).append(column)
    groups = {stem: group for stem, group in stems.items() if len(group) > 1}
    inside = {column.name for group in groups.values() for column in group}
    return groups | _side_by_side(plan, [each for each in rated if each.name not in inside])


def _rated(column: _Column) -> bool:
    """Few whole numbers, and either a number in the name or a usual scale used to its top."""
    if column.numbers is None or column.levels > 14 or (column.numbers % 1).any():
        return False
    if re.fullmatch(STEMMED, _simple(column.name)):
        return True
    return column.levels > 2 and _scale(column.numbers)[0] is not None


def _side_by_side(plan: _Plan, rated: list[_Column]) -> dict[str, list[_Column]]:
    places = {column.name: place for place, column in enumerate(plan.columns)}
    runs = groupby(
        enumerate(rated),
        key=lambda each: (places[each[1].name] - each[0], _scale(each[1].numbers)[0]),
    )
    wide = [[column for _, column in run] for _, run in runs]
    wide = [run for run in wide if len(run) >= 5]
    return {f"items_{at}" if at else "items": run for at, run in enumerate(wide)}


def _pair_expectations(plan: _Plan) -> None:
    for perceived, expected in PAIRS.items():
        if {perceived, expected} <= set(plan.dimensions):
            asked = {_number(item): item for item in plan.dimensions[expected]}
            pairs = {
                item: asked[_number(item)]
                for item in plan.dimensions[perceived]
                if _number(item) in asked
            }
            if len(pairs) == len(asked):
                plan.expectations = pairs
                del plan.dimensions[expected]
    for stem, group in plan.dimensions.items():
        if stem.startswith("exp") and not plan.expectations:
            plan.unsettled["expectations"] = [
                f"if {_quoted(group[0])} asks what was expected of an item, pair the two:"
                f" {{item: {_quoted(group[0])}}}"
            ]


def _number(item: str) -> int:
    return int(re.findall(r"\d+", item)[-1])


# --- what is written ----------------------------------------------------------------------------


def _quoted(value: str) -> str:
    """A text as one line of YAML, in quotes unless it is plainly a name."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) and yaml.safe_load(value) == value:
        return value
    line = yaml.dump(value, default_style='"', allow_unicode=True, width=float("inf"))
    return line.removesuffix("\n")


def _flow(value: object) -> str:
    """A value as one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else str(value)


def _parameters(name: str, plans: list[_Plan]) -> str:
    language, why = _language(plans)
    lines = [
        "# Drafted from your own files. Every line under `data` is a guess: read it, correct it,",
        f"# then try `sqm check {name}` and `sqm run {name}`.",
        f"# data/{name}/README.md lists every column.",
        f"study: {_quoted(name)}",
        f"title: {_quoted(re.sub('[-_]+', ' ', name).strip().capitalize() or name)}",
        f"language: {language}  # {why}",
        "",
        "report:  # the block that is signed",
        '  organisation: ""',
        '  author: ""',
        '  approver: ""',
        '  date: ""',
        "",
        "data:",
        '  time_zone: "UTC"  # set it to where the service works, such as Europe/Madrid',
        '  currency: ""  # of amounts and costs, such as EUR',
    ]
    for plan in plans:
        lines += ["", *_table_lines(plan)]
    lines += [
        "",
        "# Each phase takes the names in the first cell of its notebook; the README tells how.",
        "# define: {}",
        "# measure: {}",
        *(_driver_lines(plans) or ["# analyse: {}"]),
        "# improve: {}",
        "# control: {}",
    ]
    return "\n".join(lines) + "\n"


def _driver_lines(plans: list[_Plan]) -> list[str]:
    """What may explain a complaint, where complaints name the contact they arose from."""
    roles = {plan.name: plan.roles for plan in plans if not plan.useless}
    contacts = roles.get("operations", {})
    if "contact" not in contacts or "contact" not in roles.get("complaints", {}):
        return []
    drivers = [role for role in ("wait_s", "channel", "reason") if role in contacts]
    if {"abandoned", "resolved"} & set(contacts):
        drivers.append("ending")
    if not drivers:
        return []
    return [
        "analyse:",
        "  outcome: complained",
        f"  drivers: {_flow(drivers)}",
        f"  known_at: {_flow(dict.fromkeys(drivers, 'before'))}  # a guess: before the complaint?",
        *([] if "site" in contacts else ['  fixed: ""', "  hold_out: []"]),
        *([] if "agent" in contacts else ['  cluster: ""']),
        *([] if "wait_s" in contacts else ["  per: {}"]),
        *([] if "resolved" in contacts else ["  reference: {}"]),
        *([] if "arrived" in contacts else ['  time: ""']),
        *([] if "channel" in contacts else ['  segment: ""']),
    ]


def _table_lines(plan: _Plan) -> list[str]:
    if plan.useless or not plan.taken():
        why = plan.useless or "no column could be given a role"
        return [f"  # {plan.name}: left out, because {_comment(why)}.", *_left_out(plan)]
    lines = [f"  {plan.name}:"]
    for key, value in plan.described().items():
        if key == "roles":
            lines += ["    roles:" if value else "    roles: {}", *_role_lines(plan)]
        elif isinstance(value, dict):
            lines.append(f"    {key}:")
            lines += [f"      {_quoted(k)}: {_flow(v)}" for k, v in value.items()]
        else:
            lines.append(f"    {key}: {_flow(value)}{_remark(plan, key)}")
    if plan.copies:
        lines.append(
            f"    # {plan.copies} rows are exact copies of another; `copies: once` sets them aside."
        )
    return [*lines, *_left_out(plan)]


def _remark(plan: _Plan, key: str) -> str:
    return {
        "missing_answers": "  # confirm: these lie outside the scale and seem to mean no answer",
        "scale": "  # confirm: lowest and highest answer of every item below",
        "key": "  # names a row; repeats are counted",
        "decimal": "  # confirm: the file writes numbers with a decimal comma",
    }.get(key, "")


def _role_lines(plan: _Plan) -> list[str]:
    lines = []
    for role, spec in plan.roles.items():
        short = list(spec) == ["column"]
        said = _quoted(spec["column"]) if short else _flow(spec)
        remark = plan.remarks.get(role, "")
        lines.append(f"      {role}: {said}" + (f"  # {remark}" if remark else ""))
    return lines


def _left_out(plan: _Plan) -> list[str]:
    lines = []
    if plan.unsettled:
        lines.append("    # Left out, because it could not be settled:")
        for role, reasons in plan.unsettled.items():
            lines += [f"    #   {role}: {_comment(reason)}" for reason in reasons]
    absent = [r for r in NAMES[plan.name] if r not in plan.roles and r not in plan.unsettled]
    if absent:
        lines.append(f"    # No column looks like: {', '.join(absent)}.")
    taken = plan.taken()
    idle = [_quoted(column.name) for column in plan.columns if column.name not in taken]
    for start in range(0, len(idle), 6):
        head = "Columns without a role:" if start == 0 else "  "
        lines.append(f"    # {head} {_comment(', '.join(idle[start : start + 6]))}")
    return lines


def _comment(text: str) -> str:
    """A text that stays on its line and that YAML lets stand in a comment."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= 400 else shown[:399] + "…"


def _language(plans: list[_Plan]) -> tuple[str, str]:
    """en, es or zh, by the commonest words of the customers' texts."""
    for role in ("text", "category", "reason"):
        for plan in sorted(plans, key=lambda plan: plan.name != "complaints"):
            spec = plan.roles.get(role)
            if spec is None:
                continue
            column = next(each for each in plan.columns if each.name == spec["column"])
            language = _spoken(column.given.head(SAMPLE))
            if language:
                return language, f"guessed from {_comment(_quoted(column.name))}: en, es or zh"
    return "en", "nothing to guess it from: en, es or zh"


def _spoken(texts: pd.Series) -> str | None:
    whole = " ".join(texts).casefold()[:500_000]
    if len(re.findall(r"[\u4e00-\u9fff]", whole)) > 0.2 * len(whole):
        return "zh"
    words = re.findall(r"\w+", whole)
    score = {lang: sum(word in common for word in words) for lang, common in COMMON.items()}
    best = max(score, key=lambda lang: score[lang])
    return best if score[best] > 0.01 * len(words) else None


def _dictionary(name: str, plans: list[_Plan]) -> str:
    lines = [
        f"# Data of the study {name}",
        "",
        "What each column means is for you to complete: whoever reads the report will ask. The",
        "data themselves stay where they are.",
        "",
    ]
    for plan in plans:
        lines += [
            f"## {plan.name}",
            "",
            f"- File: {_cell(plan.path)} ({plan.columns[0].rows if plan.columns else 0} rows)",
            "- Who collected it, how, and who may read it: ",
            "- Period covered, and when it was exported: ",
            "- What is known to be wrong with it: ",
            "",
            "| column | role | type | holds | missing | meaning, unit, source |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_dictionary_line(column, plan) for column in plan.columns]
        lines.append("")
    return "\n".join(lines)


def _dictionary_line(column: _Column, plan: _Plan) -> str:
    roles = [role for role, spec in plan.roles.items() if spec.get("column") == column.name]
    if not roles and column.name in plan.taken():
        roles = ["item"]
    role = "" if plan.useless else ", ".join(roles)
    named = any(
        plan.roles[each].get("personal") or KNOWN[plan.name][each] == "identifier"
        for each in roles
        if each in plan.roles
    )
    return (
        f"| {_cell(column.name)} | {role} | {column.kind} | {_cell(_holds(column, named=named))}"
        f" | {column.missing:.1%} |  |"
    )


def _holds(column: _Column, *, named: bool = False) -> str:
    """What a column's values are like, without telling one that a customer gave."""
    if column.kind == "time":
        return " or ".join(column.formats)
    if column.numbers is not None:
        if named or _is_numbered(column):
            return "numbers"  # the least is one customer's own
        return f"{column.numbers.min():g} to {column.numbers.max():g}"
    if column.kind == "text":
        return f"about {column.given.head(SAMPLE).str.len().mean():.0f} characters"
    return "" if column.kind == "empty" else f"{column.levels} different values"


def _is_numbered(column: _Column) -> bool:
    """Whole numbers so long and so unlike that they may be those of customers, or of telephones."""
    numbers = column.numbers
    return bool((numbers % 1 == 0).all() and numbers.abs().min() >= 1e5 and column.unlike > 0.95)


def _cell(text: str) -> str:
    """A text in a Markdown table: no bar, tag, link or line end of its own."""
    shown = _comment(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_|\[\]#])", r"\\\1", shown)
