"""`/admin/v1`: tenants, keys, policies and variants, for operators and administrators."""
