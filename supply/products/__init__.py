"""What the platform sells to its merchants: tools by subscription, hardware, managed services."""
