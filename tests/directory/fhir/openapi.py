"""OpenAPI of the FHIR door, made from its own CapabilityStatement: what is advertised is what is tried."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

BLANK = r"^[ ,]*$|^"  # as if it was not there (FHIR R4 search)
TEXT = {"type": "string", "maxLength": 400, "pattern": r"^[^\x00-\x1f\x7f]*$"}
DATE = {
    "type": "string",
    "pattern": BLANK + r"(eq|ne|gt|lt|ge|le|sa|eb)?2[0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|1[0-9]|2[0-8])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,3})?)?Z)?)?)?$",
}
BOOLEAN = {"type": "string", "enum": ["true", "false", ""]}
ID = {"type": "string", "pattern": r"^[A-Za-z0-9.-]{1,64}$"}
REFERENCE = {"type": "string", "pattern": BLANK + r"[A-Za-z0-9.-]{1,64}$"}
VALUES = {"string": TEXT, "token": TEXT, "date": DATE, "reference": REFERENCE}
CONTROLS: dict[str, Schema] = {
    "_count": {"type": "string", "pattern": BLANK + r"[0-9]{1,6}$"},
    "_total": {"type": "string", "enum": ["none", "estimate", "accurate", ""]},
    "_elements": {
        "type": "string",
        "pattern": BLANK + r"[A-Za-z][A-Za-z0-9_]{0,39}(,[A-Za-z][A-Za-z0-9_]{0,39})*$",
    },
    "_format": {"type": "string", "enum": ["json", "application/fhir+json", "application/json"]},
}
OUTCOME = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "diagnostics"],
                "properties": {
                    "severity": {"enum": ["error", "warning"]},
                    "diagnostics": {"type": "string", "minLength": 1},
                },
            },
        },
    },
}


def described(statement: Schema) -> Schema:
    """Of a CapabilityStatement."""
    paths: Schema = {"/fhir/v2/metadata": {"get": operation([], "CapabilityStatement", secured=False)}}
    for resource in statement["rest"][0]["resource"]:
        kind = resource["type"]
        root = f"/fhir/v2/{kind}"
        searched = [*map(parameter, resource["searchParam"]), *controls(resource)]
        interactions = {one["code"] for one in resource["interaction"]}
        identified = {"name": "id", "in": "path", "required": True, "schema": ID}
        paths[root] = {"get": operation(searched, "Bundle")}
        paths[f"{root}/_search"] = {"post": posted(searched)}
        paths[f"{root}/{{id}}"] = {
            "get": operation([identified, query("_elements", CONTROLS["_elements"])], kind)
        }
        if "patch" in interactions:
            paths[root]["patch"] = patched([query("identifier", TEXT)], kind)
            paths[f"{root}/{{id}}"]["patch"] = patched([identified], kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "FHIR", "version": "v2"},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "ESANTE-API-KEY"}}
        },
    }


def parameter(told: Schema) -> Schema:
    return query(told["name"], BOOLEAN if told["name"] == "active" else VALUES[told["type"]])


def controls(resource: Schema) -> list[Schema]:
    made = [query(name, schema) for name, schema in CONTROLS.items()]
    for name, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        made.append(query(name, {"type": "string", "enum": ["", "*", *resource.get(key, [])]}))
    return made


def query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def operation(parameters: list[Schema], answer: str, *, secured: bool = True) -> Schema:
    codes = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "429"]
    refusals = {code: {"description": "refused", "content": fhir(OUTCOME)} for code in codes}
    shape = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": answer}},
    }
    return {
        "parameters": parameters,
        "security": [{"key": []}] if secured else [],
        "responses": {"200": {"description": "done", "content": fhir(shape)}, **refusals},
    }


def posted(parameters: list[Schema]) -> Schema:
    fields = {one["name"]: one["schema"] for one in parameters}
    form = {"type": "object", "properties": fields, "additionalProperties": False}
    content = {"application/x-www-form-urlencoded": {"schema": form}}
    return {**operation([], "Bundle"), "requestBody": {"required": False, "content": content}}


def patched(parameters: list[Schema], kind: str) -> Schema:
    return {**operation(parameters, kind), "requestBody": {"required": True, "content": fhir(patch(kind))}}


def patch(kind: str) -> Schema:
    address = {"enum": ["a@autre.mssante.fr", "lea.martin@medecin.mssante.fr", "b@loin.mssante.fr"]}
    path = {
        "enum": [
            f"{kind}.telecom",
            f"{kind}.telecom.where(value = 'a@autre.mssante.fr')",
            f"{kind}.telecom.where(value = 'a@autre.mssante.fr').rank",
            f"{kind}.name",
        ]
    }
    point = {
        "type": "object",
        "properties": {"system": {"enum": ["email", "phone"]}, "value": address, "rank": {"type": "integer"}},
    }
    part = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": ["type", "path", "index", "value"]},
            "valueCode": {"enum": ["insert", "replace", "delete", "add"]},
            "valueString": path,
            "valueInteger": {"type": "integer"},
            "valueContactPoint": point,
        },
    }
    one = {
        "type": "object",
        "properties": {"name": {"const": "operation"}, "part": {"type": "array", "items": part}},
    }
    return {
        "type": "object",
        "required": ["resourceType", "parameter"],
        "properties": {"resourceType": {"const": "Parameters"}, "parameter": {"type": "array", "items": one}},
    }


def fhir(schema: Schema) -> Schema:
    return {"application/fhir+json": {"schema": schema}}
