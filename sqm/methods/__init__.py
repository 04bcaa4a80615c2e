"""The methods: one room a question, none of which knows another or a study."""
