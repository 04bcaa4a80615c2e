"""How long does it take, beside what others take?"""
