"""Moirai 1.1-R and 2.0-R (Salesforce): one encoder, two ways to embed and to predict."""
