"""List what becomes of each operator, function and kind of expression that the engine lacks or gets wrong."""

from __future__ import annotations

from collections.abc import Callable

from ..pipeline import Pipeline
from ..rewriter import Source
from ..translation import Node
from . import chains, combining, comparing, evaluate, expanding, functions, naming, nested, parsing, search, series

Operator = Callable[[Pipeline, Node], None]
Expression = Callable[[Pipeline, Node], str | None]

SOURCES: dict[str, Source] = {
    "UnionOperator": combining.union_source,
    "SearchOperator": search.search_source,
}
OPERATORS: dict[str, Operator] = {
    "AsOperator": chains.name_rows,
    "ConsumeOperator": chains.consume,
    "DistinctOperator": naming.distinct,
    "EvaluateOperator": evaluate.evaluate,
    "InvokeOperator": chains.invoke,
    "JoinOperator": combining.join,
    "LookupOperator": combining.join,
    "MakeSeriesOperator": series.make_series,
    "MvapplyOperator": nested.mv_apply,
    "MvexpandOperator": expanding.mv_expand,
    "ParseOperator": parsing.parse,
    "ParseWhereOperator": parsing.parse,
    "PartitionOperator": nested.partition,
    "ProjectAwayOperator": naming.project_away,
    "ProjectKeepOperator": naming.project_keep,
    "ProjectReorderOperator": naming.project_reorder,
    "ProjectRenameOperator": naming.project_rename,
    "RenderOperator": chains.render,
    "SampleOperator": chains.sample,
    "SampleDistinctOperator": chains.sample_distinct,
    "SearchOperator": search.search,
    "SerializeOperator": chains.serialize,
    "SummarizeOperator": chains.summarize,
    "TakeOperator": chains.take,
    "TopOperator": chains.take,
    "UnionOperator": combining.union,
}
EXPRESSIONS: dict[str, Expression] = {
    "CountExpression": chains.count_of,
    "EqualityExpression": comparing.equality,
    "EscapedName": naming.column,
    "FunctionCallOrPathPathExpression": naming.path,
    "IdentifierName": naming.column,
    "LegacyFunctionCallOrPathElementOperation": naming.legacy_index,
    "ListEqualityExpression": comparing.in_table,
    "MultiplicativeExpression": comparing.divide,
    "NamedFunctionCallExpression": functions.call,
    "RelaxedQueryOperatorParameter": chains.parameter,
    "StrictQueryOperatorParameter": chains.parameter,
    "StringStarOperatorExpression": search.any_column,
    "ToScalarExpression": comparing.to_scalar,
}
