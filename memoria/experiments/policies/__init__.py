"""Memories as others have built them, each of three choices made apart from the others.

Who is kept (`keeping`), how candidates are scored (`scoring`), what being found changes
(`finding`): `policy.make_policy` puts them together by name, over one `life.Life`.
"""
