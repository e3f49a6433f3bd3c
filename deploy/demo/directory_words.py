"""What invented professionals are made of: parts of names, and small true tables of codes (facts of the nomenclatures).

Nobody here exists: family names are put together from parts; numbers lie in ranges that are given to nobody.
"""

# ruff: noqa: SIM905  # one word after the other reads better than in quotes
from __future__ import annotations

GIVEN = (
    "Zoé|Anaïs|Léa|Inès|Chloé|Maëlle|Gaëlle|Noémie|Océane|Solène|Hélène|Geneviève|Françoise|Cécile|Céline|Aurélie|"
    "Mélanie|Stéphanie|Émilie|Élise|Éléonore|Anne|Marie|Claire|Juliette|Camille|Manon|Sarah|Nadia|Yasmine|Fatima|"
    "Aïcha|Thi Hoa|Agathe|Alix|Bérénice|Capucine|Daphné|Édith|Flore|Garance|Héloïse|Isaure|Jeanne|Karine|Lucie|Maud|"
    "Nathalie|Odile|Pauline|Rachel|Sabine|Thérèse|Ursule|Valérie|Wanda|Yvonne|Zélie|Jérôme|François|Rémi|Loïc|Raphaël|"
    "Noël|Théo|Hervé|André|René|Frédéric|Sébastien|Cédric|Jérémy|Grégoire|Benoît|Mickaël|Anaël|Joël|Gaël|Paul|Pierre|"
    "Jean|Luc|Marc|Mathieu|Thomas|Hugo|Louis|Karim|Mehdi|Omar|Samir|Antoine|Bruno|Côme|Denis|Étienne|Fabrice|Gilles|"
    "Henri|Ivan|Julien|Kévin|Laurent|Maxence|Nicolas|Olivier|Pascal|Quentin|Romain|Simon|Tanguy|Ulysse|Victor|Xavier|"
    "Yann|Zacharie"
).split("|")
COMPOUND = "Marie|Anne|Jean|Pierre|Louis|Paul|Charles".split("|")
_HEADS = (
    "Mar|Ber|Dur|Gar|Lam|Cha|Bou|Del|Fau|Gui|Her|Jac|Lef|Mor|Nau|Ois|Per|Qué|Rou|Sau|Tes|Vau|Bal|Cor|Des|Esc|For|Gou|"
    "Hou|Lan|Mal|Pel|Riv|Tou|Val|Cœu|Bœ|Fré|Gré|Lé|Mé|Pé|Ré|Sé|Thé|Vé|Clé|Bré|Dré|Éti|Âgé|Cra|Dra|Fla|Gra|Pla|Tra|Vra|"
    "Bri|Cri|Dri|Fri|Gri|Pri|Tri|Blo|Clo|Flo|Glo|Plo|Bru|Cru|Dru|Fru|Gru|Pru|Tru|Cas|Lac|Mas|Nad|Pas|Rab|Sab|Tab|Vic|"
    "Zam|Ker|Tré|Plou|Guil|Schn|Mull|Ban|Dia|Ngu|Ham|Kha"
).split("|")
_MIDDLES = (
    "|al|an|ar|at|el|en|er|et|il|in|ir|is|ol|on|or|ou|ul|un|ur|ali|ane|ari|ato|ebe|ela|eno|eri|eti|ibo|ila|ino|iri|"
    "ito|obe|ola|oni|ore|oti|uba|ule|uni|ure|uti|ellé|anné|astr|ecq|ormi|ombr|iqu|aill|euil|ouss|ard|and|ent|imb|ang"
).split("|")
_ENDS = (
    "ier|eau|et|ot|on|in|ard|aud|ez|oux|ac|ec|ic|oc|uc|ière|elle|ette|otte|onne|ine|arde|ault|eux|ois|ais|ès|ût|ou|i|"
    "ain|ang|ec'h|ëlle|ç|sson|mann|berg"
).split("|")
HEADS, MIDDLES, ENDS = tuple(_HEADS), tuple(_MIDDLES), tuple(one for one in _ENDS if one != "ç")
PARTICLES = ("Le ", "La ", "De ", "Du ", "D'", "De La ", "Des ", "Ben ", "El ")

# TRE_G15: code, label, civility of exercise, how many in a thousand.
PROFESSIONS = (
    ("60", "Infirmier", "", 330),
    ("10", "Médecin", "DR", 300),
    ("70", "Masseur-Kinésithérapeute", "", 110),
    ("21", "Pharmacien", "DR", 75),
    ("40", "Chirurgien-Dentiste", "DR", 50),
    ("91", "Orthophoniste", "", 30),
    ("50", "Sage-Femme", "", 28),
    ("93", "Psychologue", "", 25),
    ("80", "Pédicure-Podologue", "", 15),
    ("98", "Manipulateur ERM", "", 12),
    ("94", "Ergothérapeute", "", 10),
    ("96", "Psychomotricien", "", 8),
    ("92", "Orthoptiste", "", 7),
)
# TRE_R38, of doctors.
SPECIALITIES = (
    ("SM54", "Médecine générale"),
    ("SM26", "Qualifié en Médecine Générale"),
    ("SM02", "Anesthésie-réanimation"),
    ("SM03", "Biologie médicale"),
    ("SM04", "Cardiologie et maladies vasculaires"),
    ("SM15", "Dermatologie et vénéréologie"),
    ("SM18", "Endocrinologie et métabolisme"),
    ("SM20", "Gynécologie-obstétrique"),
    ("SM24", "Gastro-entérologie et hépatologie"),
    ("SM32", "Neurologie"),
    ("SM38", "Ophtalmologie"),
    ("SM39", "Oto-rhino-laryngologie"),
    ("SM40", "Pédiatrie"),
    ("SM41", "Pneumologie"),
    ("SM42", "Psychiatrie"),
    ("SM44", "Radio-diagnostic"),
    ("SM48", "Rhumatologie"),
    ("SM53", "Médecine d'urgence"),
)
# Commune, postcode, INSEE code, department.
COMMUNES = (
    ("Lyon", "69003", "69383", "69"),
    ("Lyon", "69008", "69388", "69"),
    ("Villeurbanne", "69100", "69266", "69"),
    ("Paris", "75013", "75113", "75"),
    ("Paris", "75018", "75118", "75"),
    ("Marseille", "13005", "13205", "13"),
    ("Aix-en-Provence", "13100", "13001", "13"),
    ("Toulouse", "31000", "31555", "31"),
    ("Nice", "06000", "06088", "06"),
    ("Nantes", "44000", "44109", "44"),
    ("Saint-Nazaire", "44600", "44184", "44"),
    ("Strasbourg", "67000", "67482", "67"),
    ("Montpellier", "34000", "34172", "34"),
    ("Béziers", "34500", "34032", "34"),
    ("Bordeaux", "33000", "33063", "33"),
    ("Lille", "59000", "59350", "59"),
    ("Dunkerque", "59140", "59183", "59"),
    ("Rennes", "35000", "35238", "35"),
    ("Saint-Malo", "35400", "35288", "35"),
    ("Reims", "51100", "51454", "51"),
    ("Le Havre", "76600", "76351", "76"),
    ("Rouen", "76000", "76540", "76"),
    ("Saint-Étienne", "42000", "42218", "42"),
    ("Toulon", "83000", "83137", "83"),
    ("Grenoble", "38000", "38185", "38"),
    ("Dijon", "21000", "21231", "21"),
    ("Angers", "49000", "49007", "49"),
    ("Nîmes", "30000", "30189", "30"),
    ("Clermont-Ferrand", "63000", "63113", "63"),
    ("Le Mans", "72000", "72181", "72"),
    ("Brest", "29200", "29019", "29"),
    ("Quimper", "29000", "29232", "29"),
    ("Tours", "37000", "37261", "37"),
    ("Amiens", "80000", "80021", "80"),
    ("Limoges", "87000", "87085", "87"),
    ("Metz", "57000", "57463", "57"),
    ("Perpignan", "66000", "66136", "66"),
    ("Besançon", "25000", "25056", "25"),
    ("Orléans", "45000", "45234", "45"),
    ("Caen", "14000", "14118", "14"),
    ("Mulhouse", "68100", "68224", "68"),
    ("Nancy", "54000", "54395", "54"),
    ("Poitiers", "86000", "86194", "86"),
    ("La Rochelle", "17000", "17300", "17"),
    ("Pau", "64000", "64445", "64"),
    ("Ajaccio", "20000", "2A004", "2A"),
    ("Bastia", "20200", "2B033", "2B"),
    ("Valence", "26000", "26362", "26"),
    ("Périgueux", "24000", "24322", "24"),
    ("Châteauroux", "36000", "36044", "36"),
    ("Bourg-en-Bresse", "01000", "01053", "01"),
    ("Privas", "07000", "07186", "07"),
    ("Évreux", "27000", "27229", "27"),
    ("Saint-Brieuc", "22000", "22278", "22"),
    ("Vannes", "56000", "56260", "56"),
    ("Fort-de-France", "97200", "97209", "972"),
    ("Pointe-à-Pitre", "97110", "97120", "971"),
    ("Cayenne", "97300", "97302", "973"),
    ("Saint-Denis", "97400", "97411", "974"),
    ("Mamoudzou", "97600", "97611", "976"),
)
WAYS = (
    ("R", "Rue", "des Écoles"),
    ("AV", "Avenue", "de la République"),
    ("BD", "Boulevard", "Jean Jaurès"),
    ("PL", "Place", "du Marché"),
    ("ALL", "Allée", "des Tilleuls"),
    ("CHE", "Chemin", "du Moulin"),
    ("R", "Rue", "de l'Hôtel-de-Ville"),
    ("R", "Rue", "du Général Leclerc"),
)
STRUCTURES = (
    "Centre Hospitalier de {0}",
    "CHU de {0}",
    "Clinique des Cèdres de {0}",
    "Clinique Sainte-Anne {0}",
    "Maison de santé de {0}",
    "EHPAD Les Œillets {0}",
    "Laboratoire Bio-{0}",
    "Pharmacie du Marché {0}",
    "Centre de santé {0}",
    "Cabinet de radiologie de {0}",
)
SERVICES = (
    "Cardiologie|Urgences|Pédiatrie|Maternité|Secrétariat de chirurgie|Imagerie|Laboratoire|Pharmacie|Néphrologie|"
    "Réanimation|Consultations externes|Soins de suite"
).split("|")
