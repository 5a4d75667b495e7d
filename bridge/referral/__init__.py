"""What to do about a patient's needs: programmes, referrals, their states, screening, and what partners answer."""
